/*
 * faasm.h - the guest side of the first-generation Faasm calling convention,
 * as an Instar node speaks it.
 *
 * A function of this convention is a WebAssembly reactor: the host calls
 * _initialize once, then exec() once for every call. Build with
 *
 *     clang-14 --target=wasm32-wasi -mexec-model=reactor -O2 ...
 *
 * The module may import WASI preview 1 (whatever it writes to stderr goes to
 * the function's log) and the two host functions declared below. Nothing else
 * is linked.
 */
#ifndef FAASM_H
#define FAASM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAX_NAME_LENGTH 32   /* bytes for one chained name, its NUL included */
#define MAX_INPUT_BYTES 1024 /* bytes for the input of one chained call */
#define MAX_CHAINS 50        /* chained calls one call may ask for */

/*
 * What the host hands to exec(). The struct lives in the guest's linear
 * memory; its layout is a binary contract (pointers are 32 bits wide).
 */
struct FaasmMemory {
    /* The call's input. A NUL byte follows the last byte of it. */
    uint8_t *input;

    /* Where the answer goes. */
    uint8_t *output;

    /* MAX_CHAINS names of MAX_NAME_LENGTH bytes. */
    uint8_t *chainFunctions;

    /* MAX_CHAINS inputs of MAX_INPUT_BYTES bytes. */
    uint8_t *chainInputs;

    /*
     * How many chained calls were recorded; 0 on entry. This version of the
     * node offers no chaining: a call that ends with chainCount != 0 fails.
     */
    int32_t chainCount;

    /* ---- the fields from here on are Instar's extension ---- */

    /* Bytes of input, without the NUL byte behind them. */
    int32_t inputSize;

    /*
     * -1 on entry. A function sets it to the bytes of its answer. When it is
     * still -1 on return, as with a function that knows only the fields above,
     * the answer is the bytes at output up to the first NUL.
     */
    int32_t outputSize;

    /* Bytes that fit at output: at least 65536 and at least inputSize. */
    int32_t outputCapacity;
};

#ifdef __wasm32__
_Static_assert(offsetof(struct FaasmMemory, chainCount) == 16, "layout");
_Static_assert(offsetof(struct FaasmMemory, inputSize) == 20, "layout");
_Static_assert(offsetof(struct FaasmMemory, outputSize) == 24, "layout");
_Static_assert(offsetof(struct FaasmMemory, outputCapacity) == 28, "layout");
_Static_assert(sizeof(struct FaasmMemory) == 32, "layout");
#endif

/*
 * The function itself: you write it. 0 means success; with any other value
 * the call fails and the value is its code. The attribute exports it, so that
 * no linker flag is needed.
 */
__attribute__((export_name("exec"))) int exec(struct FaasmMemory *memory);

/*
 * Host function: copies up to len bytes of the call's input to buf and returns
 * how many; with len 0 it copies nothing and returns the size of the input.
 * A module imports it only when it uses it.
 */
__attribute__((import_module("env"), import_name("__faasm_read_input")))
int32_t __faasm_read_input(uint8_t *buf, int32_t len);

/*
 * Host function: makes the len bytes at ptr the answer of the call. This is
 * the way to give an answer of more than outputCapacity bytes; outputSize then
 * stays -1. A module imports it only when it uses it.
 */
__attribute__((import_module("env"), import_name("__faasm_write_output")))
void __faasm_write_output(const uint8_t *ptr, int32_t len);

/*
 * Gives the answer whatever its size: through output when it fits there,
 * through the host otherwise.
 */
static inline void faasmSetOutput(struct FaasmMemory *memory,
                                  const void *data, int32_t size)
{
    if (size <= memory->outputCapacity) {
        memmove(memory->output, data, (size_t)size);
        memory->outputSize = size;
    } else {
        __faasm_write_output((const uint8_t *)data, size);
    }
}

/*
 * Asks the host to call the function `name` with `size` bytes of input after
 * this call. Returns 0, or -1 when the name, the input or the number of calls
 * is over its limit (nothing is recorded then). See chainCount: for now a call
 * that chains fails, so this is here for source compatibility.
 */
static inline int chainFunction(struct FaasmMemory *memory, const char *name,
                                const uint8_t *data, int32_t size)
{
    size_t nameLength = strlen(name);
    int32_t slot = memory->chainCount;

    if (slot < 0 || slot >= MAX_CHAINS || nameLength >= MAX_NAME_LENGTH
            || size < 0 || size > MAX_INPUT_BYTES) {
        return -1;
    }
    uint8_t *nameSlot = memory->chainFunctions + slot * MAX_NAME_LENGTH;
    uint8_t *dataSlot = memory->chainInputs + slot * MAX_INPUT_BYTES;

    memset(nameSlot, 0, MAX_NAME_LENGTH);
    memcpy(nameSlot, name, nameLength);
    memset(dataSlot, 0, MAX_INPUT_BYTES);
    if (size > 0) {
        memcpy(dataSlot, data, (size_t)size);
    }
    memory->chainCount = slot + 1;
    return 0;
}

#endif

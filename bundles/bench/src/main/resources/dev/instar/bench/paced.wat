;; A WASI command that answers at a pace: its whole input, as often as the input's first two bytes say, after a pause before each.
;;
;; The input begins with the number of repetitions (16 bits, little-endian) and the milliseconds of a pause (the same).
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  ;; 0: a vector; 8: how much was read or written; 64: the subscription to a clock; 128: its event; 1024: the input.
  (memory (export "memory") 16 16)
  (func (export "_start")
    (local $size i32) (local $at i32) (local $left i32)
    (block $whole
      (loop $more
        (i32.store (i32.const 0) (i32.add (i32.const 1024) (local.get $size)))
        (i32.store (i32.const 4) (i32.sub (i32.const 1047552) (local.get $size)))
        (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
        (br_if $whole (i32.eqz (i32.load (i32.const 8))))
        (local.set $size (i32.add (local.get $size) (i32.load (i32.const 8))))
        (br $more)))
    (if (i32.lt_u (local.get $size) (i32.const 4)) (then (unreachable)))
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.mul (i64.load16_u (i32.const 1026)) (i64.const 1000000)))
    (local.set $left (i32.load16_u (i32.const 1024)))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $left)))
        (if (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160)) (then (unreachable)))
        (local.set $at (i32.const 0))
        (loop $rest
          (i32.store (i32.const 0) (i32.add (i32.const 1024) (local.get $at)))
          (i32.store (i32.const 4) (i32.sub (local.get $size) (local.get $at)))
          (if (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
          (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
          (br_if $rest (i32.lt_u (local.get $at) (local.get $size))))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $again)))))

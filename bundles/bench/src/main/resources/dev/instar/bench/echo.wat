;; echo, with canaries: the answer is the input, byte for byte, and whatever is left of an earlier call is a trap.
;;
;; A reactor of the Faasm convention (examples/include/faasm.h has the struct). Each call looks at what a call leaves when
;; nothing resets the instance: a global, 4 KiB of static memory that the last call filled with its input, and the place of the answer.
(module
  (memory (export "memory") 4 1024)
  (global $called (export "called") (mut i32) (i32.const 0))
  ;; Where a host may lay things that does not grow the memory for them.
  (global (export "__heap_base") i32 (i32.const 65536))
  (func (export "_initialize"))
  (func (export "exec") (param $call i32) (result i32)
    (local $input i32) (local $output i32) (local $size i32) (local $at i32)
    (local.set $input (i32.load (local.get $call)))
    (local.set $output (i32.load offset=4 (local.get $call)))
    (local.set $size (i32.load offset=20 (local.get $call)))
    (if (global.get $called) (then (unreachable)))
    (global.set $called (i32.const 1))
    (loop $scratch
      (if (i64.ne (i64.load offset=4096 (local.get $at)) (i64.const 0)) (then (unreachable)))
      (br_if $scratch (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 4096))))
    (local.set $at (i32.const 0))
    (block $done
      (loop $copy
        (br_if $done (i32.ge_u (local.get $at) (local.get $size)))
        (if (i32.load8_u (i32.add (local.get $output) (local.get $at))) (then (unreachable)))
        (i32.store8 offset=4096 (i32.and (local.get $at) (i32.const 4095))
          (i32.or (i32.const 1) (i32.load8_u (i32.add (local.get $input) (local.get $at)))))
        (i32.store8 (i32.add (local.get $output) (local.get $at)) (i32.load8_u (i32.add (local.get $input) (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $copy)))
    (i32.store offset=24 (local.get $call) (local.get $size))
    (i32.const 0)))

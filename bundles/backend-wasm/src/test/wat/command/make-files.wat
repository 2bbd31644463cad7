(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; Writes len bytes at p to descriptor fd.
  (func $say (param $fd i32) (param $p i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $p))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  ;; Answers n in decimal digits.
  (func $number (param $n i32)
    (local $p i32)
    (local.set $p (i32.const 64))
    (loop $digits
      (local.set $p (i32.sub (local.get $p) (i32.const 1)))
      (i32.store8 (local.get $p) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digits (local.get $n)))
    (call $say (i32.const 1) (local.get $p) (i32.sub (i32.const 64) (local.get $p))))
  (func (export "_start")
    (local $n i32)
    (block $refused
      (loop $more
        ;; A name of four letters for each number.
        (i32.store (i32.const 100) (i32.add (i32.const 0x61616161)
          (i32.or (i32.and (local.get $n) (i32.const 15)) (i32.or
            (i32.shl (i32.and (local.get $n) (i32.const 0xf0)) (i32.const 4)) (i32.or
            (i32.shl (i32.and (local.get $n) (i32.const 0xf00)) (i32.const 8))
            (i32.shl (i32.and (local.get $n) (i32.const 0xf000)) (i32.const 12)))))))
        (br_if $refused (call $mkdir (i32.const 3) (i32.const 100) (i32.const 4)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $more)))
    (call $number (local.get $n))))

(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (memory (export "memory") 4)
  ;; Writes len bytes at p to descriptor fd.
  (func $say (param $fd i32) (param $p i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $p))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  ;; Reads up to len bytes to p; how many.
  (func $read (param $p i32) (param $len i32) (result i32)
    (i32.store (i32.const 0) (local.get $p))
    (i32.store (i32.const 4) (local.get $len))
    (i32.store (i32.const 8) (i32.const 0))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))
  (func $length (param $p i32) (result i32)
    (local $n i32)
    (loop $more
      (if (i32.load8_u (i32.add (local.get $p) (local.get $n)))
        (then
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $more))))
    (local.get $n))
  ;; The variables' pointers go to 65536, their texts to 131072; the name that is asked for is at 1024.
  (func (export "_start")
    (local $n i32) (local $i i32) (local $count i32) (local $p i32)
    (local.set $n (call $read (i32.const 1024) (i32.const 4096)))
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (local.set $count (i32.load (i32.const 16)))
    (drop (call $environ (i32.const 65536) (i32.const 131072)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (local.set $p (i32.load (i32.add (i32.const 65536) (i32.mul (i32.const 4) (local.get $count)))))
        (local.set $i (i32.const 0))
        (block $differs
          (loop $compare
            (if (i32.lt_u (local.get $i) (local.get $n))
              (then
                (br_if $differs (i32.ne
                  (i32.load8_u (i32.add (local.get $p) (local.get $i)))
                  (i32.load8_u (i32.add (i32.const 1024) (local.get $i)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br $compare))))
          (br_if $differs (i32.ne (i32.load8_u (i32.add (local.get $p) (local.get $n))) (i32.const 61)))
          (local.set $p (i32.add (i32.add (local.get $p) (local.get $n)) (i32.const 1)))
          (call $say (i32.const 1) (local.get $p) (call $length (local.get $p)))
          (br $done))
        (br $next)))))

(module
  (memory (export "memory") 1)
  ;; Answers n in decimal digits, as a text that ends with a NUL: the way of functions that know only the first five fields.
  (func $number (param $m i32) (param $n i32)
    (local $p i32)
    (local.set $p (i32.const 127))
    (i32.store8 (local.get $p) (i32.const 0))
    (loop $digits
      (local.set $p (i32.sub (local.get $p) (i32.const 1)))
      (i32.store8 (local.get $p) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digits (local.get $n)))
    (memory.copy (i32.load (i32.add (local.get $m) (i32.const 4))) (local.get $p) (i32.sub (i32.const 128) (local.get $p))))
  (func (export "exec") (param $m i32) (result i32)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (call $number (local.get $m) (i32.mul (memory.size) (i32.const 65536)))
    (i32.const 0)))

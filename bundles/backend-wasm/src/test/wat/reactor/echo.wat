(module
  (memory (export "memory") 1)
  (func (export "exec") (param $m i32) (result i32)
    (memory.copy (i32.load (i32.add (local.get $m) (i32.const 4))) (i32.load (local.get $m)) (i32.load (i32.add (local.get $m) (i32.const 20))))
    (i32.store (i32.add (local.get $m) (i32.const 24)) (i32.load (i32.add (local.get $m) (i32.const 20))))
    (i32.const 0)))

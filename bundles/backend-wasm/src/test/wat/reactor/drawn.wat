(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "env" "__faasm_write_output" (func $output (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "_initialize")
    (drop (call $random_get (i32.const 64) (i32.const 16))))
  (func (export "exec") (param $m i32) (result i32)
    (call $output (i32.const 64) (i32.const 16))
    (i32.const 0)))

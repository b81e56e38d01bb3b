;; The arithmetic of a net, on rows of 32-bit floats: one row a channel, one float a sample, four samples at a time.
;;
;; Addresses and strides are in bytes, lengths in samples. `engine.js` has the same functions in plain JavaScript, and
;; says what they are for. tests/report/test_kernel.py compiles this file, and fails where kernel.wasm is another.
(module
  (import "engine" "memory" (memory 1))

  ;; Rows from rows: out[o] = base[o] + bias[o] + the sum over r of weight[r][o] * row[r], for `blocks` times four outputs.
  ;; `table` lists where each row begins. The weights of four outputs lie together: four biases, then four for each row.
  ;; `base` 0 adds nothing. n is a multiple of 8: eight accumulators hold four outputs of eight samples.
  (func (export "mix")
    (param $out i32) (param $stride i32) (param $base i32) (param $base_stride i32)
    (param $table i32) (param $weights i32) (param $rows i32) (param $blocks i32) (param $n i32)
    (local $t i32) (local $w i32) (local $entry i32) (local $last i32) (local $at i32) (local $from i32)
    (local $x v128) (local $y v128) (local $s v128)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128)
    (local.set $n (i32.shl (local.get $n) (i32.const 2)))
    (local.set $last (i32.add (local.get $table) (i32.shl (local.get $rows) (i32.const 2))))
    (loop $block
      (local.set $t (i32.const 0))
      (loop $samples
        (local.set $w (local.get $weights))
        (local.set $a0 (v128.load32_splat (local.get $w)))
        (local.set $a1 (v128.load32_splat offset=4 (local.get $w)))
        (local.set $a2 (v128.load32_splat offset=8 (local.get $w)))
        (local.set $a3 (v128.load32_splat offset=12 (local.get $w)))
        (local.set $b0 (local.get $a0))
        (local.set $b1 (local.get $a1))
        (local.set $b2 (local.get $a2))
        (local.set $b3 (local.get $a3))
        (local.set $entry (local.get $table))
        (loop $row
          (local.set $w (i32.add (local.get $w) (i32.const 16)))
          (local.set $from (i32.add (i32.load (local.get $entry)) (local.get $t)))
          (local.set $x (v128.load (local.get $from)))
          (local.set $y (v128.load offset=16 (local.get $from)))
          (local.set $s (v128.load32_splat (local.get $w)))
          (local.set $a0 (f32x4.add (local.get $a0) (f32x4.mul (local.get $s) (local.get $x))))
          (local.set $b0 (f32x4.add (local.get $b0) (f32x4.mul (local.get $s) (local.get $y))))
          (local.set $s (v128.load32_splat offset=4 (local.get $w)))
          (local.set $a1 (f32x4.add (local.get $a1) (f32x4.mul (local.get $s) (local.get $x))))
          (local.set $b1 (f32x4.add (local.get $b1) (f32x4.mul (local.get $s) (local.get $y))))
          (local.set $s (v128.load32_splat offset=8 (local.get $w)))
          (local.set $a2 (f32x4.add (local.get $a2) (f32x4.mul (local.get $s) (local.get $x))))
          (local.set $b2 (f32x4.add (local.get $b2) (f32x4.mul (local.get $s) (local.get $y))))
          (local.set $s (v128.load32_splat offset=12 (local.get $w)))
          (local.set $a3 (f32x4.add (local.get $a3) (f32x4.mul (local.get $s) (local.get $x))))
          (local.set $b3 (f32x4.add (local.get $b3) (f32x4.mul (local.get $s) (local.get $y))))
          (local.set $entry (i32.add (local.get $entry) (i32.const 4)))
          (br_if $row (i32.lt_u (local.get $entry) (local.get $last))))
        (if (local.get $base)
          (then
            (local.set $from (i32.add (local.get $base) (local.get $t)))
            (local.set $a0 (f32x4.add (local.get $a0) (v128.load (local.get $from))))
            (local.set $b0 (f32x4.add (local.get $b0) (v128.load offset=16 (local.get $from))))
            (local.set $from (i32.add (local.get $from) (local.get $base_stride)))
            (local.set $a1 (f32x4.add (local.get $a1) (v128.load (local.get $from))))
            (local.set $b1 (f32x4.add (local.get $b1) (v128.load offset=16 (local.get $from))))
            (local.set $from (i32.add (local.get $from) (local.get $base_stride)))
            (local.set $a2 (f32x4.add (local.get $a2) (v128.load (local.get $from))))
            (local.set $b2 (f32x4.add (local.get $b2) (v128.load offset=16 (local.get $from))))
            (local.set $from (i32.add (local.get $from) (local.get $base_stride)))
            (local.set $a3 (f32x4.add (local.get $a3) (v128.load (local.get $from))))
            (local.set $b3 (f32x4.add (local.get $b3) (v128.load offset=16 (local.get $from))))))
        (local.set $at (i32.add (local.get $out) (local.get $t)))
        (v128.store (local.get $at) (local.get $a0))
        (v128.store offset=16 (local.get $at) (local.get $b0))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (v128.store (local.get $at) (local.get $a1))
        (v128.store offset=16 (local.get $at) (local.get $b1))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (v128.store (local.get $at) (local.get $a2))
        (v128.store offset=16 (local.get $at) (local.get $b2))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (v128.store (local.get $at) (local.get $a3))
        (v128.store offset=16 (local.get $at) (local.get $b3))
        (local.set $t (i32.add (local.get $t) (i32.const 32)))
        (br_if $samples (i32.lt_u (local.get $t) (local.get $n))))
      (local.set $out (i32.add (local.get $out) (i32.shl (local.get $stride) (i32.const 2))))
      (if (local.get $base)
        (then (local.set $base (i32.add (local.get $base) (i32.shl (local.get $base_stride) (i32.const 2))))))
      (local.set $weights (i32.add (local.get $w) (i32.const 16)))
      (br_if $block (local.tee $blocks (i32.sub (local.get $blocks) (i32.const 1))))))

  ;; The same for one sample, from `rows` floats that lie together: what a recurrent cell does between two samples.
  (func (export "step")
    (param $out i32) (param $in i32) (param $weights i32) (param $rows i32) (param $blocks i32)
    (local $from i32) (local $last i32) (local $sum v128)
    (local.set $last (i32.add (local.get $in) (i32.shl (local.get $rows) (i32.const 2))))
    (loop $block
      (local.set $sum (v128.load (local.get $weights)))
      (local.set $from (local.get $in))
      (loop $row
        (local.set $weights (i32.add (local.get $weights) (i32.const 16)))
        (local.set $sum
          (f32x4.add
            (local.get $sum)
            (f32x4.mul (v128.load32_splat (local.get $from)) (v128.load (local.get $weights)))))
        (local.set $from (i32.add (local.get $from) (i32.const 4)))
        (br_if $row (i32.lt_u (local.get $from) (local.get $last))))
      (v128.store (local.get $out) (local.get $sum))
      (local.set $weights (i32.add (local.get $weights) (i32.const 16)))
      (local.set $out (i32.add (local.get $out) (i32.const 16)))
      (br_if $block (local.tee $blocks (i32.sub (local.get $blocks) (i32.const 1))))))

  ;; Add rows to rows; n is a multiple of 4.
  (func (export "add")
    (param $to i32) (param $to_stride i32) (param $from i32) (param $from_stride i32) (param $rows i32) (param $n i32)
    (local $t i32)
    (local.set $n (i32.shl (local.get $n) (i32.const 2)))
    (loop $row
      (local.set $t (i32.const 0))
      (loop $samples
        (v128.store
          (i32.add (local.get $to) (local.get $t))
          (f32x4.add
            (v128.load (i32.add (local.get $to) (local.get $t)))
            (v128.load (i32.add (local.get $from) (local.get $t)))))
        (local.set $t (i32.add (local.get $t) (i32.const 16)))
        (br_if $samples (i32.lt_u (local.get $t) (local.get $n))))
      (local.set $to (i32.add (local.get $to) (local.get $to_stride)))
      (local.set $from (i32.add (local.get $from) (local.get $from_stride)))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; Rows that remember: the last `kept` of kept + n samples move to the row's beginning.
  (func (export "keep") (param $at i32) (param $stride i32) (param $rows i32) (param $kept i32) (param $n i32)
    (loop $row
      (memory.copy
        (local.get $at)
        (i32.add (local.get $at) (i32.shl (local.get $n) (i32.const 2)))
        (i32.shl (local.get $kept) (i32.const 2)))
      (local.set $at (i32.add (local.get $at) (local.get $stride)))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))

  ;; ---- In place, on n samples; n is a multiple of 4 ----

  (func (export "multiply") (param $at i32) (param $by i32) (param $n i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $n) (i32.const 2))))
    (loop $samples
      (v128.store (local.get $at) (f32x4.mul (v128.load (local.get $at)) (v128.load (local.get $by))))
      (local.set $by (i32.add (local.get $by) (i32.const 16)))
      (br_if $samples
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))

  ;; Below 0 a line of this slope: 0 is relu.
  (func (export "leak") (param $at i32) (param $n i32) (param $slope f32)
    (local $end i32) (local $x v128) (local $zero v128) (local $s v128)
    (local.set $s (f32x4.splat (local.get $slope)))
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $n) (i32.const 2))))
    (loop $samples
      (local.set $x (v128.load (local.get $at)))
      (v128.store
        (local.get $at)
        (f32x4.add
          (f32x4.max (local.get $x) (local.get $zero))
          (f32x4.mul (local.get $s) (f32x4.min (local.get $x) (local.get $zero)))))
      (br_if $samples
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end)))))

  ;; low + (high - low) / (1 + exp(-scale * x)): the sigmoid is 0, 1, 1 and the tanh -1, 1, 2.
  ;; exp(y) = 2^k * exp(r), where k is the whole number next to y / log 2; of exp(r) the series up to r^7, which at the
  ;; largest r, log(2) / 2, leaves out 5e-9. log 2 is 355/512 and a rest, so that k times the first is exact.
  (func (export "squash") (param $at i32) (param $n i32) (param $low f32) (param $high f32) (param $scale f32)
    (local $end i32) (local $y v128) (local $k v128) (local $e v128) (local $one v128) (local $span v128)
    (local.set $one (f32x4.splat (f32.const 1)))
    (local.set $span (f32x4.splat (f32.sub (local.get $high) (local.get $low))))
    (local.set $end (i32.add (local.get $at) (i32.shl (local.get $n) (i32.const 2))))
    (loop $samples
      ;; Beyond 40 the result is one of the bounds, to the last digit.
      (local.set $y
        (f32x4.min
          (f32x4.max
            (f32x4.mul (v128.load (local.get $at)) (f32x4.splat (f32.neg (local.get $scale))))
            (f32x4.splat (f32.const -40)))
          (f32x4.splat (f32.const 40))))
      (local.set $k (f32x4.nearest (f32x4.mul (local.get $y) (f32x4.splat (f32.const 1.4426950408889634)))))
      (local.set $y
        (f32x4.sub
          (f32x4.sub (local.get $y) (f32x4.mul (local.get $k) (f32x4.splat (f32.const 0.693359375))))
          (f32x4.mul (local.get $k) (f32x4.splat (f32.const -0.0002121944400546905827679)))))
      (local.set $e (f32x4.splat (f32.const 0.0001984126984126984)))
      (local.set $e (f32x4.add (f32x4.mul (local.get $e) (local.get $y)) (f32x4.splat (f32.const 0.001388888888888889))))
      (local.set $e (f32x4.add (f32x4.mul (local.get $e) (local.get $y)) (f32x4.splat (f32.const 0.008333333333333333))))
      (local.set $e (f32x4.add (f32x4.mul (local.get $e) (local.get $y)) (f32x4.splat (f32.const 0.041666666666666664))))
      (local.set $e (f32x4.add (f32x4.mul (local.get $e) (local.get $y)) (f32x4.splat (f32.const 0.16666666666666666))))
      (local.set $e (f32x4.add (f32x4.mul (local.get $e) (local.get $y)) (f32x4.splat (f32.const 0.5))))
      (local.set $e (f32x4.add (f32x4.mul (local.get $e) (local.get $y)) (local.get $one)))
      (local.set $e (f32x4.add (f32x4.mul (local.get $e) (local.get $y)) (local.get $one)))
      ;; A float's exponent is 127 more than its power of two, above 23 bits of fraction.
      (local.set $e
        (f32x4.mul
          (local.get $e)
          (i32x4.shl
            (i32x4.add (i32x4.trunc_sat_f32x4_s (local.get $k)) (i32x4.splat (i32.const 127)))
            (i32.const 23))))
      (v128.store
        (local.get $at)
        (f32x4.add
          (f32x4.splat (local.get $low))
          (f32x4.div (local.get $span) (f32x4.add (local.get $one) (local.get $e)))))
      (br_if $samples
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (local.get $end))))))

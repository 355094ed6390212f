"""What the help of commands says below their options, and of some of these."""

from __future__ import annotations

EPILOG = """\
a first round, in two terminals:

  gradserve serve --workers 2                      # a service with Ray on port 50051, metrics on port 9464
  gradserve gradient loss.pb point.npz --address localhost:50051

graph files and points come from Python:

  f = Client().function(loss, w=np.zeros(200)); f.save("loss.pb")
  np.savez("point.npz", w=w)

Without --address a command computes in this process; the answer is the same to the bit.

exit status: 0 done, 1 a verification that did not pass, 2 an error or a wrong argument, 130 interrupted
"""
DESCRIBE = """\
example:

  gradserve describe loss.pb --points 1000         # the gradient at 1000 points at once
  gradserve describe loss.pb --derivation hvp --text
"""
GRADIENT = """\
examples:

  gradserve gradient loss.pb point.npz --out gradient.npz
  gradserve gradient loss.pb points.npz --batch --reduction mean --address localhost:50051

--out writes `value`, and `gradient:NAME` for each input.
"""
VERIFY = """\
examples:

  gradserve verify loss.pb point.npz
  gradserve verify loss.pb point.npz --plot steps.png
  gradserve verify loss.pb point.npz --claimed mine.npz     # arrays NAME or gradient:NAME, as gradient --out writes
  gradserve verify loss.pb point.npz --of hvp --tangents v.npz --claimed hv.npz         # or product:NAME
  gradserve verify map.pb point.npz --of jacobian --claimed jacobian.npz                # NAME or jacobian:NAME
  gradserve verify map.pb point.npz --of jvp --tangents v.npz --claimed jv.npz          # OUTPUT or tangent:OUTPUT

The exit status is 0 if the gradient, or the claim, agrees with the differences within their error bound, and 1 if not.
"""
SYMMETRY = """\
The Hessian that is derived is symmetric by construction. The true one is where second derivatives are continuous, by
the theorem of Schwarz; at 0 of x y (x^2 - y^2) / (x^2 + y^2) it is not: there d/dx d/dy is 1 and d/dy d/dx is -1.
Both orders are measured here from values of the loss, as limits of mixed differences in which one step vanishes before
the other.

examples:

  gradserve symmetry loss.pb point.npz
  gradserve symmetry loss.pb point.npz --pair "w[0]" "w[3]" --pair "w[0]" b

verdicts: agrees            both orders and the derived Hessian are the same within the bounds
          order_dependent   the two orders differ
          disagrees         both orders are the same, and the derived Hessian is another
          kink              there is no such derivative
          inconclusive      rounding hides more than 1e-3 of the second derivatives

The exit status is 0 if every pair agrees, and 1 if not.
"""
INSPECT = """\
example:

  gradserve inspect loss.pb point.npz --svg loss.svg
"""
PING = "exit status: 0 it does, 1 it does not or cannot be reached"
TRACE = """\
examples:

  gradserve trace loss.pb point.npz --rel-tol 0.05 --seed 1
  gradserve trace loss.pb point.npz --estimator auto --plot convergence.png --bars layers.png
  gradserve trace net.pb point.npz --estimator auto --group first=w1,b1 --group last=w2,b2
  gradserve trace loss.pb point.npz --rel-tol 1e-3 --resume trace.token    # interrupted? run the same command again
  gradserve trace loss.pb point.npz --max-probes 64 --gradient --out trace.npz

--out writes what there is by input: arrays such as gradient:w, diagonal:w, parts:w.
"""


VECTORS = """\
example:

  gradserve {name} loss.pb point.npz --{takes} v.npz --out results.npz

The file of {takes} has one array for each, by name. --out writes arrays ROLE:NAME, such as value:loss.
"""
DIAGONAL = """\
Each entry is the mean of v times H v over random signs v, and has an interval that covers it with --confidence.

example:

  gradserve hessian-diagonal loss.pb point.npz --rel-tol 0.05 --out diagonal.npz   # values:NAME, half_widths:NAME
"""
ZERO_ORDER = """\
No rule of any op is used: along a direction v the quotient D = (f(x + h v) - f(x - h v)) / 2h is measured, and D v is
an estimate of the gradient g. Of one random direction its variance is (n - 1) |g|^2 for n entries, so descents on such
estimates take n times as many steps. --sampler basis takes all entries instead, 2 n evaluations in all and no variance;
--scheme forward saves half of them and is less exact. Without --step the step is chosen from measured noise and
derivatives, and its error is part of the intervals.

examples:

  gradserve zero-order-gradient loss.pb point.npz --max-probes 256 --seed 1
  gradserve zero-order-gradient loss.pb point.npz --sampler basis --out gradient.npz     # values:NAME
  gradserve zero-order-gradient loss.pb point.npz --sampler basis --scheme forward --step 1e-7
"""
ESTIMATES = {"hessian_diagonal": DIAGONAL, "zero_order_gradient": ZERO_ORDER}
"""What the help of estimates says, if they have no command of their own."""
CONVERGENCE = "draw how estimate and interval became better"
STEPS = "draw how far differences are from the gradient, step by step"

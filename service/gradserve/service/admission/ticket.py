"""What one call holds of the room that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradserve.runtime.control import Control
from gradserve.runtime.planned import Planned

if TYPE_CHECKING:
    from gradserve.service.admission.admission import Admission
    from gradserve.service.admission.gate import Gate


class Ticket:
    """One call that has entered. Of one thread at a time."""

    __slots__ = (
        "_admission",
        "began",
        "begun",
        "bytes",
        "caller",
        "flops",
        "gate",
        "held",
        "may_be_shed",
        "planned",
        "resting",
    )

    def __init__(self, admission: Admission, caller: str, held: tuple[float, ...], may_be_shed: bool) -> None:
        """`held` is what it takes, in the order of `Amounts`."""
        self._admission = admission
        self.caller, self.held, self.may_be_shed = caller, held, may_be_shed
        self.planned: Planned | None = None
        """What it has begun last of what takes long."""
        self.gate: Gate | None = None
        """Where it is inside."""
        self.resting = False
        """Whether it does nothing but wait for its client."""
        self.began = 0.0
        self.begun = 0
        """How often it has begun something that takes long."""
        self.flops = self.bytes = 0.0
        """What is predicted for what it has begun, as far as its caller has not been charged with it."""

    def begins(self, planned: Planned, control: Control) -> None:
        """Returns when what is planned may begin; see `Admission.begin`."""
        self._admission.begin(self, planned, control)

    def rests(self) -> None:
        """Lets others in while the call waits for its client."""
        self._admission.rest(self)

    def returns(self, control: Control) -> None:
        """Returns when the call may go on after a rest, with something else than it was at before."""
        self._admission.come_back(self, control)

    def goes_on(self, control: Control) -> None:
        """Returns when the call may go on with what it was at before it rested."""
        if self.planned is None:
            self._admission.come_back(self, control)
        else:
            self._admission.resume(self, self.planned, control)

    def leave(self, as_predicted: bool = False) -> None:
        """Ends the call; `as_predicted` says that it has done what it planned in one go."""
        self._admission.leave(self, as_predicted and self.begun == 1)

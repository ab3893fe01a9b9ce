"""The semantic choices of an Adam implementation: one enum per stage, one dataclass that holds a pick of each.

The order of the fields is the order of a step. Alternatives marked (bug) have been found in real implementations but are
intended by nobody; they exist so that a report can name the one that a failing backend computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import get_type_hints


class Stage(Enum):
    """The alternatives of one stage. Hashed by identity, as there is one object per alternative: picks are looked up at every step."""

    __hash__ = object.__hash__


class Objective(Stage):
    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"
    MAXIMIZE_LAST = "maximize, the sign turned after the decay has been added (bug)"


class Resume(Stage):
    AS_GIVEN = "as given"
    MOMENTS_DROPPED = "moments start from zero"
    MOMENTS_HALVED = "moments rounded to half precision on load"
    FIRST_DROPPED = "the first moment starts from zero (bug)"
    SECOND_DROPPED = "the second moment starts from zero (bug)"
    MAXIMUM_DROPPED = "the maximum of amsgrad starts from zero (bug)"
    STEP_DROPPED = "step count starts from zero"


class Schedule(Stage):
    AS_GIVEN = "as given"
    EARLY = "each change one step early"
    LATE = "each change one step late"
    IGNORED = "changes ignored"


class Skip(Stage):
    """What a call does for which a scaled gradient is not finite (found_inf)."""

    NOT_COUNTED = "changes nothing, and is not counted"
    COUNTED = "changes nothing, and is counted (bug)"
    MADE = "is made all the same (bug)"
    ZEROS = "is made with gradients of zeros (bug)"


class Reduction(Stage):
    """How the gradients of several ranks become one."""

    AS_GIVEN = "as the case says"
    MEAN = "mean over the ranks, idle ones counted"
    SUM = "sum over the ranks"
    MEAN_OF_OCCURRENCES = "mean over the occurrences of a row on all ranks"
    MEAN_OF_HOLDERS = "mean over the ranks that hold a row"
    MEAN_OF_GIVING = "mean over the ranks that have a gradient (bug)"
    MEAN_TWICE = "mean over the ranks, divided by their number twice (bug)"
    MEAN_OF_FIRST_WORLD = "sum over the ranks, divided by the number of ranks at the first step (bug)"
    FIRST_PARAMETER = "mean over the ranks for the first parameter, sum for the others (bug)"
    FIRST_RANK = "the first rank's alone (bug)"
    LAST_RANK = "of a row that several ranks hold, the last one's alone, divided by the number of ranks (bug)"


class Accumulation(Stage):
    """How the gradients of several micro-batches, which one call brings, become one."""

    AS_GIVEN = "as the case says"
    SUM = "sum over the micro-batches"
    MEAN = "mean over the micro-batches, those without a gradient counted"
    FIRST = "the first micro-batch's alone (bug)"
    LAST = "the last micro-batch's alone (bug)"
    APART = "a step for each micro-batch (bug)"


class Betas(Stage):
    AS_GIVEN = "as given"
    SWAPPED = "beta1 and beta2 exchanged"


class Precision(Stage):
    """In what the scalars are computed, where the tensors are wider than float32."""

    OWN = "double, or the dtype of the tensors"
    PRODUCT_FLOAT32 = "double, or the dtype of the tensors; the product of NAdam's momenta is kept in float32"
    FLOAT32 = "float32, whatever the dtype of the tensors"


class Counter(Stage):
    """Whose steps t counts, and which calls advance it."""

    CALL = "every call, one per optimizer"
    CALL_NONEMPTY = "every call that brings a non-empty gradient, one per optimizer"
    PARAMETER = "per parameter, each call that brings it a gradient, an empty one too"
    PARAMETER_NONEMPTY = "per parameter, each call that brings it a non-empty gradient"
    ROW = "per row, each call that touches it"
    BUMPED_PER_PARAMETER = "one per optimizer, advanced by each parameter (bug)"


class Clock(Stage):
    """What the bias corrections read: the count after this call, or something else."""

    T = "t"
    T_PLUS_1 = "t + 1"
    T_MINUS_1 = "t - 1, from zero"
    T_MINUS_1_OR_NONE = "t - 1, from zero, where nothing is corrected"
    TWICE_T = "2 t"


class Decay(Stage):
    NONE = "none"
    COUPLED_OCCURRENCE = "added to the gradient, per occurrence before merging"
    COUPLED_MERGED = "added to the merged gradient of the touched rows"
    COUPLED_ALL = "added to the gradient of all rows"
    DECOUPLED_TOUCHED = "decoupled, touched rows"
    DECOUPLED_ALL = "decoupled, all rows"


class DecayRate(Stage):
    """What a decoupled decay is multiplied by."""

    LR = "learning rate"
    ONE = "nothing"
    STEP_SIZE = "bias-corrected step size"


class DecayOrder(Stage):
    """When a decoupled decay shrinks the parameter."""

    BEFORE = "before the update"
    AFTER = "after the update"


class Centralization(Stage):
    NONE = "none"
    ROW_MEAN = "mean over axes 1.. subtracted where ndim >= 2 and shape[1] % 16 == 0"
    ANY_WIDTH = "mean over axes 1.. subtracted, whatever the width (bug)"
    BEFORE_DECAY = "mean over axes 1.. subtracted before the decay is added (bug)"


def centralizes(shape: tuple[int, ...]) -> bool:
    """Whether MindSpore's rule of centralization applies to a parameter of this shape (see Centralization.ROW_MEAN)."""
    return len(shape) >= 2 and shape[1] % 16 == 0


class Unscale(Stage):
    """Where the gradient is multiplied by 1/loss_scale, as seen by a coupled decay."""

    DECAY_KEPT = "the decay is scaled up first, so that it survives unscaling whole"
    DECAY_SHRUNK = "the decay is divided by loss_scale with the gradient"
    IGNORED = "not unscaled"
    TWICE = "unscaled twice"


class Merge(Stage):
    """What happens to the occurrences of a row."""

    SUM = "sum"
    MEAN = "mean"
    FIRST = "first occurrence wins"
    LAST = "last occurrence wins"
    ADJACENT = "only neighbouring occurrences summed, the last run wins (bug)"
    SEQUENTIAL = "applied one after the other"
    OLD_STATE = "each from the old state, updates added, last moments win"
    SUM_OF_SQUARES = "m takes the sum, v the sum of squares"


class Touch(Stage):
    """Which rows a sparse gradient updates."""

    STORED = "rows or elements that are stored"
    NONZERO = "stored rows that are not all zero"
    NONZERO_SUM = "stored rows whose values do not add up to zero (bug)"
    MOMENTS_OF_ALL = "the moments of all rows decay, the stored rows move (bug)"
    ALL = "all rows, as if the gradient were dense"
    ALL_UNLESS_EMPTY = "all rows, but none where the gradient stores none (bug)"
    CATCH_UP = "stored rows, which first make the steps that they missed"
    CATCH_UP_AND_ONE = "as catch-up, with one step too many"


class Moments(Stage):
    EMA = "exponential moving averages"
    DIVIDED = "m = b1 (m + (1-b1) g / b1), which divides by zero at b1 = 0"
    UNWEIGHTED = "m = b1 m + g (bug)"
    CORRECTED = "m_hat is written back as m (bug)"
    BOTH_CORRECTED = "m_hat and v_hat are written back as m and v (bug)"


class Second(Stage):
    """What the second moment remembers of the gradients."""

    SQUARES = "average of the squares"
    ROW_SQUARES = "average of the mean square of each row"
    INFINITY = "largest absolute value, decayed (Adamax)"


class Bias(Stage):
    BOTH = "both"
    NONE = "none"
    FIRST = "first moment only"
    SECOND = "second moment only"
    EXCHANGED = "1-b2^t for m and 1-b1^t for v (bug)"
    MULTIPLIED = "multiplied by the corrections instead of divided (bug)"
    UNROOTED = "sqrt(v) divided by 1-b2^t instead of its root (bug)"


class Rectification(Stage):
    """RAdam: the step is rectified once v averages enough gradients, rho of them; before, it goes along m_hat, whatever v is."""

    NONE = "none"
    ABOVE_5 = "by r, where rho > 5"
    ABOVE_4 = "by r, where rho > 4"
    ABOVE_5_ELSE_STILL = "by r, where rho > 5; else p stays"
    UNROOTED = "by the square of r, where rho > 5 (bug)"


class Amsgrad(Stage):
    OFF = "off"
    MAX_V = "maximum of v"
    MAX_V_HAT = "maximum of v_hat"
    MAX_LOST = "maximum taken, not kept (bug)"
    LAST_V = "v kept in the place of the maximum (bug)"


class Eps(Stage):
    HAT = "beside sqrt(v), the corrections folded into the step size"
    PAPER = "beside sqrt(v_hat)"
    PAPER_STORED = "beside sqrt(v_hat) in the rows that a gradient stores, beside sqrt(v) in the others (bug)"
    INSIDE = "inside the root of v_hat"
    PAPER_ROOTED = "beside sqrt(v_hat), and eps_root inside that root"
    INSIDE_HAT = "inside the root of v"
    SQUARED_INSIDE = "its square inside the root of v"
    SQUARED_INSIDE_PAPER = "its square inside the root of v_hat"
    AS_MAXIMUM = "sqrt(v), but at least eps"
    SUBTRACTED = "subtracted (bug)"
    DROPPED = "not added (bug)"
    OVER_STEP_SIZE = "divided by the step size, nan at lr = 0"
    BESIDE_GRADIENT = "beside |g|, before the largest is taken (Adamax)"


class Direction(Stage):
    M = "m"
    NESTEROV = "b1 m + (1-b1) g"
    NADAM = "b1 m/(1-b1^(t+1)) + (1-b1) g/(1-b1^t)"
    NADAM_SCHEDULED = "mu(t+1) m/(1-P(t+1)) + (1-mu(t)) g/(1-P(t)), where mu(t) = b1 (1 - 0.96^(t psi)/2) and P(t) = mu(1)...mu(t)"
    NADAM_FROM_ZERO = "as NAdam with its schedule, counted from 0: mu(0), then mu(1) (bug)"
    RAW = "g"
    OLD_MOMENTS = "m and v from before this gradient"
    OLD_M = "m from before this gradient, v with it (bug)"
    OLD_V = "m with this gradient, v from before it (bug)"


class Update(Stage):
    ONCE = "once"
    TWICE = "twice (bug)"


@dataclass(frozen=True)
class Picks:
    """One alternative per stage: all that makes one Adam differ from another, apart from numbers."""

    objective: Objective
    resume: Resume
    schedule: Schedule
    skip: Skip
    reduction: Reduction
    accumulation: Accumulation
    betas: Betas
    precision: Precision
    counter: Counter
    clock: Clock
    decay: Decay
    decay_rate: DecayRate
    decay_order: DecayOrder
    centralization: Centralization
    unscale: Unscale
    merge: Merge
    touch: Touch
    moments: Moments
    second: Second
    bias: Bias
    rectification: Rectification
    amsgrad: Amsgrad
    eps: Eps
    direction: Direction
    update: Update


STAGES: dict[str, type[Enum]] = get_type_hints(Picks)
"""Stage name to enum, in the order of a step; YAML tables name an alternative by its member name in lower case."""

"""What users say of answers: quarantined, judged, reviewed, capped, and grown into the next data version.

Nobody who volunteers a label judges a model, and no single source decides what one becomes. Rules and people accept;
caps hold every source small; rows that judge never train; every model is learned from the base, so that a source can be
cut out of it again.
"""

from __future__ import annotations

"""Where each query strategy comes from: what `vidal strategies` cites."""

from __future__ import annotations

from collections.abc import Mapping

SOURCES: Mapping[str, str] = {
    "expected-errors": "vidal's own (docs/expected_errors.md); looks: Lin & Bilmes, ACL 2011",
    "badge": "Ash et al., ICLR 2020",
    "bald": "Houlsby et al., 2011; Gal, Islam & Ghahramani, ICML 2017",
    "batchbald": "Kirsch, van Amersfoort & Gal, NeurIPS 2019",
    "certainty": "the opposite of least confidence: a baseline of purity",
    "cluster-margin": "Citovsky et al., NeurIPS 2021",
    "coreset": "Sener & Savarese, ICLR 2018: the robust form",
    "egl": "Settles, Craven & Ray, NIPS 2007",
    "energy": "Liu et al., NeurIPS 2020",
    "ensemble": "Beluch et al., CVPR 2018: variation ratio",
    "entropy": "Shannon 1948; on frames Zolfaghari Bengar et al., ICCVW 2019",
    "entropy-l1-pseudo-label": "Zolfaghari Bengar, thesis, section 4.5.2",
    "every-nth": "a baseline",
    "kcenter": "Sener & Savarese, ICLR 2018: the greedy form",
    "label-dispersion": "Zolfaghari Bengar, Raducanu & van de Weijer, CAIP 2021; thesis, ch. 3",
    "learning-loss": "Yoo & Kweon, CVPR 2019",
    "least-confidence": "Lewis & Gale, SIGIR 1994; on frames Zolfaghari Bengar et al., ICCVW 2019",
    "mahalanobis": "Lee et al., NeurIPS 2018",
    "margin": "Scheffer, Decomain & Wrobel, 2001; on frames Brust et al., 2019",
    "msp": "Hendrycks & Gimpel, ICLR 2017",
    "novelty": "vidal's own (docs/open_set_video.md); first rounds: Lee et al., NeurIPS 2018",
    "pal": "Portable Active Learning for Object Detection, CVPR 2026, arXiv 2605.10349",
    "ppal": "Yang, Huang & Crowley, CVPR 2024",
    "random": "a baseline",
    "random-r": "Zolfaghari Bengar et al., ICCVW 2019: a baseline",
    "svm-margin": "Tong & Koller, 2001; thesis, chapter 5",
    "temporal-coherence": "Zolfaghari Bengar et al., ICCVW 2019; thesis, chapter 2",
    "vaal": "Sinha, Ebrahimi & Darrell, ICCV 2019",
}
"""Name of a strategy -> its source in a few words; the docstrings say what is followed of it."""

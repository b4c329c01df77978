"""Evaluate CalAIM: panels, effects, equity, CBO integration and safe quarterly reports.

The public names, by room, are in ``__init__.pyi``; see ``ARCHITECTURE.md``. What is not listed
there may change unannounced. The simulated Medi-Cal is `calaim_eval.simulate.simulate_medi_cal`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

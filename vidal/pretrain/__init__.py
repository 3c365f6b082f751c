"""Self-supervised pre-training: what a network can learn from pictures that nobody has labelled.

``simsiam`` holds the formulas (NumPy), ``training`` the loop for any torch module that maps images
to features, ``frames`` a bounded sample of a folder of clips, ``probe`` what is trained on frozen
features. Nothing is imported here: the formulas need no torch.
"""

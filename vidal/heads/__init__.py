"""Small networks on the features of detections, trained on what is labelled.

They give strategies what a detector does not say of itself: stochastic passes, the votes of a
committee or of epochs, a predicted loss, whether a detection resembles what is labelled. A head
learns in seconds on one core and cannot change the features it reads: the thesis's and the papers'
networks do, so these are approximations of their methods (on images the network itself is trained).
"""

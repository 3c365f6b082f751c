"""Where a clip becomes evidence, and where stored evidence is found again.

``clips`` opens what the user names; ``gather`` plans, computes and stores (``scan``: one pass over
the frames; ``motion``: how boxes move; ``given``: detections that came as files); ``labels`` finds
the clip of every entry of an annotation file; ``judge`` holds evidence against labels; ``places``
says where evidence lies and where work is done.
"""

"""Where a clip becomes evidence, and where stored evidence is found again.

``clips`` opens what the user names; ``plan`` says what is computed and under which keys;
``gathering`` has it computed, clip by clip or window by window of long clips (``windowed``: one
pass over the frames, ``scan``; ``motion``: how boxes move; ``judging``: verdicts and sums;
``given``: detections that came as files); ``gathered`` and ``load`` read it again; ``labels`` finds
the clip of every entry of an annotation file; ``judge`` holds evidence against labels; ``places``
says where evidence lies and where work is done.
"""

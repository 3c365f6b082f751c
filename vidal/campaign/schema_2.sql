-- From version 1 of the record to version 2: where paths count from, and labels for evaluation.

-- home: the folder of the campaign when its relative paths were written.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Labels of clips that are set aside. A table of their own: training cannot read them by mistake.
CREATE TABLE held_frames (
    clip  TEXT NOT NULL REFERENCES clips (id),
    frame INTEGER NOT NULL CHECK (frame >= 0),
    PRIMARY KEY (clip, frame)
) WITHOUT ROWID;

CREATE TRIGGER held_frames_are_set_aside BEFORE INSERT ON held_frames
WHEN (SELECT split FROM clips WHERE id = NEW.clip) IS NOT 'test'
 AND (SELECT split FROM clips WHERE id = NEW.clip) IS NOT 'validation'
BEGIN SELECT RAISE(ABORT, 'only labels of test and validation clips are for evaluation'); END;

CREATE TRIGGER held_frames_of_the_clip BEFORE INSERT ON held_frames
WHEN NEW.frame >= (SELECT frames FROM clips WHERE id = NEW.clip)
BEGIN SELECT RAISE(ABORT, 'a frame beyond the end of its clip'); END;

CREATE TABLE held_boxes (
    clip     TEXT NOT NULL,
    frame    INTEGER NOT NULL,
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    label    INTEGER NOT NULL CHECK (label >= -1),
    track    INTEGER NOT NULL,
    ignored  INTEGER NOT NULL CHECK (ignored IN (0, 1)),
    CHECK (x2 > x1 AND y2 > y1),
    FOREIGN KEY (clip, frame) REFERENCES held_frames (clip, frame)
);
CREATE INDEX boxes_of_held_frames ON held_boxes (clip, frame);

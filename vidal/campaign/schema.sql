-- The record of a campaign. What the rules below forbid cannot happen, whatever the code does.
-- This is version 1; schema_2.sql brings it to version 2, here and in campaigns of version 1.

CREATE TABLE classes (
    label INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE
);

CREATE TABLE clips (
    id     TEXT PRIMARY KEY,
    path   TEXT NOT NULL,
    frames INTEGER NOT NULL CHECK (frames > 0),
    split  TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test')),
    root   TEXT NOT NULL
);

-- A round: queried -> answered -> trained, or queried -> withdrawn.
CREATE TABLE rounds (
    round    INTEGER PRIMARY KEY CHECK (round >= 0),
    strategy TEXT NOT NULL,
    wanted   INTEGER NOT NULL CHECK (wanted > 0),
    state    TEXT NOT NULL CHECK (state IN ('queried', 'answered', 'trained', 'withdrawn')),
    model    TEXT
);

-- At most one query waits for its answer.
CREATE UNIQUE INDEX one_open_query ON rounds (state) WHERE state = 'queried';

-- A frame has one state or none (= unlabelled): the primary key keeps the sets disjoint.
CREATE TABLE frames (
    clip  TEXT NOT NULL REFERENCES clips (id),
    frame INTEGER NOT NULL CHECK (frame >= 0),
    round INTEGER NOT NULL REFERENCES rounds (round),
    rank  INTEGER NOT NULL CHECK (rank > 0),
    score REAL,
    state TEXT NOT NULL CHECK (state IN ('queried', 'labelled', 'skipped')),
    PRIMARY KEY (clip, frame)
) WITHOUT ROWID;

CREATE TRIGGER frames_of_training_clips BEFORE INSERT ON frames
WHEN (SELECT split FROM clips WHERE id = NEW.clip) IS NOT 'train'
BEGIN SELECT RAISE(ABORT, 'only frames of training clips are queried'); END;

CREATE TRIGGER frames_of_the_clip BEFORE INSERT ON frames
WHEN NEW.frame >= (SELECT frames FROM clips WHERE id = NEW.clip)
BEGIN SELECT RAISE(ABORT, 'a frame beyond the end of its clip'); END;

CREATE TRIGGER frames_keep_their_answer BEFORE UPDATE ON frames
WHEN OLD.state != 'queried' OR NEW.clip != OLD.clip OR NEW.frame != OLD.frame
BEGIN SELECT RAISE(ABORT, 'an answered frame does not change'); END;

-- "Annotated and empty" is a labelled frame without boxes.
CREATE TABLE boxes (
    clip     TEXT NOT NULL,
    frame    INTEGER NOT NULL,
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    label    INTEGER NOT NULL CHECK (label >= -1),
    track    INTEGER NOT NULL,
    ignored  INTEGER NOT NULL CHECK (ignored IN (0, 1)),
    CHECK (x2 > x1 AND y2 > y1),
    FOREIGN KEY (clip, frame) REFERENCES frames (clip, frame)
);
CREATE INDEX boxes_of_frames ON boxes (clip, frame);

CREATE TRIGGER boxes_of_labelled_frames BEFORE INSERT ON boxes
WHEN (SELECT state FROM frames WHERE clip = NEW.clip AND frame = NEW.frame) IS NOT 'labelled'
BEGIN SELECT RAISE(ABORT, 'boxes only on labelled frames'); END;

-- What happened, in order. Appended to, never changed.
CREATE TABLE events (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    time   TEXT NOT NULL,
    round  INTEGER,
    kind   TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TRIGGER events_do_not_change BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;
CREATE TRIGGER events_do_not_vanish BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;

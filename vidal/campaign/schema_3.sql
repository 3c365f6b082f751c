-- From version 2 of the record to version 3: answers can be corrected, and every version is kept.

-- A file of answers that changed something.
CREATE TABLE imports (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    time   TEXT NOT NULL,
    by     TEXT NOT NULL,
    source TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    format TEXT NOT NULL,
    split  TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test'))
);
CREATE TRIGGER imports_do_not_change BEFORE UPDATE ON imports
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;
CREATE TRIGGER imports_do_not_vanish BEFORE DELETE ON imports
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;

-- The versions of every answer; the newest of a frame counts. 'queried': taken back, the frame waits
-- again; 'free': taken back, of a clip that is set aside. import: NULL = not from a file.
-- boxes: JSON, rows of (x1, y1, x2, y2, label, track, ignored).
CREATE TABLE answers (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    import INTEGER REFERENCES imports (id),
    clip   TEXT NOT NULL REFERENCES clips (id),
    frame  INTEGER NOT NULL CHECK (frame >= 0),
    state  TEXT NOT NULL CHECK (state IN ('labelled', 'skipped', 'queried', 'free')),
    boxes  TEXT NOT NULL
);
CREATE INDEX versions_of_frames ON answers (clip, frame, id);

CREATE TRIGGER answers_do_not_change BEFORE UPDATE ON answers
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;
CREATE TRIGGER answers_do_not_vanish BEFORE DELETE ON answers
BEGIN SELECT RAISE(ABORT, 'the record is append-only'); END;

-- An answered frame changes only to what the newest version of its answer says.
DROP TRIGGER frames_keep_their_answer;
CREATE TRIGGER frames_keep_their_answer BEFORE UPDATE ON frames
WHEN NEW.clip != OLD.clip OR NEW.frame != OLD.frame OR NEW.round != OLD.round
  OR NEW.rank != OLD.rank OR NEW.score IS NOT OLD.score
  OR (OLD.state != 'queried' AND NEW.state IS NOT (
      SELECT state FROM answers WHERE clip = OLD.clip AND frame = OLD.frame ORDER BY id DESC LIMIT 1
  ))
BEGIN SELECT RAISE(ABORT, 'an answered frame does not change'); END;

CREATE TRIGGER boxes_do_not_change BEFORE UPDATE ON boxes
BEGIN SELECT RAISE(ABORT, 'an answered frame does not change'); END;
CREATE TRIGGER boxes_stay_until_corrected BEFORE DELETE ON boxes
WHEN (SELECT count(*) FROM answers WHERE clip = OLD.clip AND frame = OLD.frame) < 2
BEGIN SELECT RAISE(ABORT, 'an answered frame does not change'); END;

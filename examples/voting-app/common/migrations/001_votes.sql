-- The schema of the voting app and its first two options.
CREATE TABLE IF NOT EXISTS options (
    name     text PRIMARY KEY,
    position integer NOT NULL
);

CREATE TABLE IF NOT EXISTS votes (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    option  text NOT NULL REFERENCES options (name),
    cast_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS votes_option ON votes (option);

INSERT INTO options (name, position) VALUES ('Cats', 1), ('Dogs', 2) ON CONFLICT (name) DO NOTHING;

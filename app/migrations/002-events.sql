CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    starts_at timestamptz NOT NULL,
    place text NOT NULL DEFAULT '' CHECK (char_length(place) <= 200),
    description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 5000),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- A request that is sent again after a lost answer carries the same key, and creates nothing new.
    request_key uuid NOT NULL UNIQUE
);

CREATE INDEX events_by_start ON events (starts_at, id);

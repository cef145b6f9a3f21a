-- The feature under development: a third option to vote for.
INSERT INTO options (name, position)
SELECT 'Parrots', coalesce(max(position), 0) + 1 FROM options
ON CONFLICT (name) DO NOTHING;

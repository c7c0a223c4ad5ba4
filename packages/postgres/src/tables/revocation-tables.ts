/** The tables of blocked users and revoked tokens. */
export const revocationTables = (schema: string): string => `
	CREATE TABLE ${schema}.revocation_list (
		-- Of the list in Redis of which this one is a copy; empty = of none.
		epoch text NOT NULL,
		only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
	);
	CREATE TABLE ${schema}.revocation (
		key text PRIMARY KEY,
		-- NULL = removed.
		entry json,
		until timestamptz,
		-- The place of the last change in the list in Redis.
		epoch text NOT NULL,
		version bigint NOT NULL,
		changed_at timestamptz NOT NULL DEFAULT now()
	);
`;

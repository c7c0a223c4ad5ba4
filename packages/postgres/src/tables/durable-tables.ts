/** Publications older than a history that are kept for nodes that are late: `lateMax` of packages/durable-store, which a test there compares. */
const lateMax = 1024;

/** The tables of durable channels, and the functions that change them. Names of channels and users may hold any bytes. */
export const durableTables = (schema: string, name: string): string => `
	CREATE TABLE ${schema}.durable_channel (
		channel bytea PRIMARY KEY,
		epoch0 integer NOT NULL,
		epoch1 integer NOT NULL,
		-- Offset of the last publication; 1 = none yet.
		last bigint NOT NULL DEFAULT 1,
		-- Offset of the first one that is part of the history.
		first bigint NOT NULL DEFAULT 2,
		-- Of all records in the table.
		bytes bigint NOT NULL DEFAULT 0,
		published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
		ttl_ms float8 NOT NULL DEFAULT 0,
		meta_ttl_ms float8 NOT NULL
	);
	CREATE TABLE ${schema}.durable_publication (
		channel bytea NOT NULL,
		"offset" bigint NOT NULL,
		record bytea NOT NULL,
		PRIMARY KEY (channel, "offset")
	);
	CREATE TABLE ${schema}.durable_key (
		channel bytea NOT NULL,
		key bytea NOT NULL,
		"offset" bigint NOT NULL,
		epoch0 integer NOT NULL,
		until timestamptz NOT NULL,
		PRIMARY KEY (channel, key)
	);
	CREATE INDEX ON ${schema}.durable_key (until);
	CREATE TABLE ${schema}.durable_position (
		user_id bytea NOT NULL,
		channel bytea NOT NULL,
		consumer text NOT NULL,
		"offset" bigint NOT NULL,
		epoch text NOT NULL,
		until timestamptz NOT NULL,
		ttl_ms float8 NOT NULL,
		PRIMARY KEY (user_id, channel, consumer)
	);
	CREATE INDEX ON ${schema}.durable_position (until);

	CREATE FUNCTION ${schema}.durable_publish(
		channels bytea[], records bytea[], keys bytea[], key_ttls float8[], sizes bigint[], ttls float8[], meta_ttls float8[],
		fresh0 integer, fresh1 integer
	) RETURNS TABLE (place bigint, "offset" bigint, duplicate boolean, epoch0 integer, epoch1 integer, last bigint, first bigint)
	LANGUAGE plpgsql AS $body$
	#variable_conflict use_column
	DECLARE
		this_channel bytea;
		state ${schema}.durable_channel%ROWTYPE;
		given record;
		used bigint;
		start bigint;
		added bigint;
		removed bigint;
	BEGIN
		-- In one order, so that two nodes do not wait for each other.
		FOR this_channel IN SELECT DISTINCT c FROM unnest(channels) AS c ORDER BY c LOOP
			SELECT * INTO state FROM ${schema}.durable_channel d WHERE d.channel = this_channel FOR UPDATE;
			IF NOT FOUND THEN
				INSERT INTO ${schema}.durable_channel (channel, epoch0, epoch1, meta_ttl_ms)
				SELECT this_channel, fresh0, fresh1, g.meta_ttl FROM unnest(channels, meta_ttls) AS g (channel, meta_ttl)
				WHERE g.channel = this_channel LIMIT 1 ON CONFLICT DO NOTHING;
				SELECT * INTO STRICT state FROM ${schema}.durable_channel d WHERE d.channel = this_channel FOR UPDATE;
			END IF;
			added := 0;
			FOR given IN
				SELECT * FROM unnest(channels, records, keys, key_ttls, sizes, ttls, meta_ttls) WITH ORDINALITY
				AS g (channel, record, key, key_ttl, size, ttl, meta_ttl, place) WHERE g.channel = this_channel ORDER BY g.place
			LOOP
				used := NULL;
				IF given.key IS NOT NULL THEN
					SELECT k."offset" INTO used FROM ${schema}.durable_key k
					WHERE k.channel = this_channel AND k.key = given.key AND k.epoch0 = state.epoch0 AND k.until > clock_timestamp();
				END IF;
				start := CASE WHEN state.published_at + state.ttl_ms * interval '1 ms' <= clock_timestamp() THEN state.last + 1 ELSE state.first END;
				IF used IS NULL AND given.record IS NOT NULL THEN
					state.last := state.last + 1;
					start := greatest(start, state.last - given.size + 1);
					state.first := start;
					state.published_at := clock_timestamp();
					state.ttl_ms := given.ttl;
					state.meta_ttl_ms := given.meta_ttl;
					state.bytes := state.bytes + octet_length(given.record);
					added := added + 1;
					INSERT INTO ${schema}.durable_publication VALUES (this_channel, state.last, given.record);
					IF given.key IS NOT NULL THEN
						INSERT INTO ${schema}.durable_key AS k
						VALUES (this_channel, given.key, state.last, state.epoch0, clock_timestamp() + given.key_ttl * interval '1 ms')
						ON CONFLICT (channel, key) DO UPDATE
						SET "offset" = excluded."offset", epoch0 = excluded.epoch0, until = excluded.until;
					END IF;
				END IF;
				RETURN QUERY SELECT given.place, coalesce(used, state.last), used IS NOT NULL, state.epoch0, state.epoch1, state.last, start;
			END LOOP;
			CONTINUE WHEN added = 0;
			WITH gone AS (
				DELETE FROM ${schema}.durable_publication p WHERE p.channel = this_channel AND p."offset" IN (
					SELECT o."offset" FROM ${schema}.durable_publication o
					WHERE o.channel = this_channel AND o."offset" < state.first - ${lateMax} ORDER BY o."offset" LIMIT 1000 + added
				) RETURNING octet_length(p.record) AS bytes
			) SELECT coalesce(sum(gone.bytes), 0) INTO removed FROM gone;
			UPDATE ${schema}.durable_channel d SET last = state.last, first = state.first, bytes = greatest(0, state.bytes - removed),
				published_at = state.published_at, ttl_ms = state.ttl_ms, meta_ttl_ms = state.meta_ttl_ms
			WHERE d.channel = this_channel;
			PERFORM pg_notify('${name}_durable', state.last || ' ' || state.epoch0 || ' ' || state.epoch1 || ' ' || encode(this_channel, 'hex'));
		END LOOP;
	END
	$body$;

	CREATE FUNCTION ${schema}.durable_sweep() RETURNS void LANGUAGE plpgsql AS $body$
	#variable_conflict use_column
	DECLARE
		state ${schema}.durable_channel%ROWTYPE;
		removed bigint;
		amount bigint;
	BEGIN
		FOR state IN
			SELECT * FROM ${schema}.durable_channel d
			WHERE d.bytes > 0 AND d.published_at + d.ttl_ms * interval '1 ms' <= clock_timestamp() LIMIT 20 FOR UPDATE SKIP LOCKED
		LOOP
			WITH gone AS (
				DELETE FROM ${schema}.durable_publication p WHERE p.channel = state.channel AND p."offset" IN (
					SELECT o."offset" FROM ${schema}.durable_publication o WHERE o.channel = state.channel ORDER BY o."offset" LIMIT 2000
				) RETURNING octet_length(p.record) AS bytes
			) SELECT coalesce(sum(gone.bytes), 0), count(*) INTO removed, amount FROM gone;
			UPDATE ${schema}.durable_channel d SET first = d.last + 1, bytes = CASE WHEN amount < 2000 THEN 0 ELSE greatest(1, d.bytes - removed) END
			WHERE d.channel = state.channel;
		END LOOP;
		DELETE FROM ${schema}.durable_channel d WHERE d.channel IN (
			SELECT o.channel FROM ${schema}.durable_channel o
			WHERE o.bytes = 0 AND o.published_at + o.meta_ttl_ms * interval '1 ms' <= clock_timestamp() LIMIT 200 FOR UPDATE SKIP LOCKED
		);
		DELETE FROM ${schema}.durable_key k WHERE (k.channel, k.key) IN (
			SELECT o.channel, o.key FROM ${schema}.durable_key o WHERE o.until <= clock_timestamp() LIMIT 2000 FOR UPDATE SKIP LOCKED
		);
		DELETE FROM ${schema}.durable_position p WHERE (p.user_id, p.channel, p.consumer) IN (
			SELECT o.user_id, o.channel, o.consumer FROM ${schema}.durable_position o
			WHERE o.until <= clock_timestamp() LIMIT 2000 FOR UPDATE SKIP LOCKED
		);
	END
	$body$;
`;

/**
 * Which server the tables were on when they were last used. One that takes over, or a backup, may lack the last publications, and gives their offsets
 * again. Then all channels get another epoch, so that nobody takes the new publications for those that he has already. What this server has stays valid:
 * keys, and the positions of consumers, who go on where they were.
 */
export const durableServer = (schema: string, name: string): string => `
	CREATE TABLE ${schema}.durable_server (
		identity text NOT NULL,
		only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
	);
	-- fresh0 is the first half of the epoch, also as in the text of an epoch.
	CREATE FUNCTION ${schema}.durable_server_is(given text, fresh0 integer, fresh0_text text) RETURNS boolean LANGUAGE plpgsql AS $body$
	#variable_conflict use_column
	DECLARE
		known text;
	BEGIN
		SELECT d.identity INTO known FROM ${schema}.durable_server d;
		IF known = given THEN
			RETURN false;
		END IF;
		PERFORM pg_advisory_xact_lock(hashtextextended('${name}.durable_server', 0));
		SELECT d.identity INTO known FROM ${schema}.durable_server d;
		IF known = given THEN
			RETURN false;
		END IF;
		INSERT INTO ${schema}.durable_server (identity) VALUES (given) ON CONFLICT (only_row) DO UPDATE SET identity = excluded.identity;
		IF known IS NULL THEN
			RETURN false;
		END IF;
		UPDATE ${schema}.durable_key k SET epoch0 = fresh0 FROM ${schema}.durable_channel d WHERE d.channel = k.channel AND d.epoch0 = k.epoch0;
		UPDATE ${schema}.durable_channel SET epoch0 = fresh0;
		UPDATE ${schema}.durable_position SET epoch = fresh0_text || '-' || split_part(epoch, '-', 2);
		RETURN true;
	END
	$body$;
`;

interface Row {
	readonly key: string;
	readonly entry: string | null;
	readonly until: number | null;
	readonly epoch: string;
	readonly version: number;
}

/** Blocked users and revoked tokens in a database that is in memory, as `RevocationTable` of packages/postgres keeps them. */
export class FakeRevocationDatabase {
	readonly where = "postgres://database";
	readonly rows = new Map<string, Row>();
	epoch: string | null = null;
	isAway = false;
	#onReady: () => void = () => undefined;

	/** Ids of the entries, in order. */
	get ids(): string {
		const entries = [...this.rows.values()].flatMap(({ entry }) => (entry === null ? [] : [(JSON.parse(entry) as { id: string }).id]));
		return entries.toSorted().join(" ");
	}

	start(onReady: () => void): void {
		this.#onReady = onReady;
		if (!this.isAway) queueMicrotask(onReady);
	}

	stop(): void {
		this.#onReady = () => undefined;
	}

	/** It can be reached again. */
	back(): void {
		this.isAway = false;
		this.#onReady();
	}

	async load(): Promise<{ readonly epoch: string | null; readonly entries: readonly string[] }> {
		this.#reach();
		return { epoch: this.epoch, entries: [...this.rows.values()].flatMap(({ entry }) => entry ?? []) };
	}

	async write(rows: readonly Row[], isCopy: boolean): Promise<void> {
		this.#reach();
		if (!isCopy) this.epoch = "";
		this.epoch ??= rows[0]!.epoch;
		for (const row of rows) this.#put(row);
	}

	async replace(rows: readonly Row[], epoch: string, version: number): Promise<void> {
		this.#reach();
		const kept = new Set(rows.map(({ key }) => key));
		for (const { key } of [...this.rows.values()]) if (!kept.has(key)) this.#put({ key, entry: null, until: null, epoch, version });
		for (const row of rows) this.#put(row);
		this.epoch = epoch;
	}

	#put(row: Row): void {
		const before = this.rows.get(row.key);
		if (before === undefined || before.epoch !== row.epoch || before.version <= row.version) this.rows.set(row.key, row);
	}

	#reach(): void {
		if (this.isAway) throw new Error("the database is away");
	}
}

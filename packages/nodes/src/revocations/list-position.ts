/** Which changes of the list in Redis a copy has. */
export interface ListPosition {
	/** Of the list; another one when Redis has lost everything. */
	readonly epoch: string;
	/** Id of the server that made these changes. */
	readonly run: string;
	/** Number of changes. */
	readonly version: number;
}

/** The list in Redis now. */
export interface ListState extends ListPosition {
	/** Version from which the successor of each former server went on. It had not got the later changes of that server. */
	readonly former: ReadonlyMap<string, number>;
}

/** Reads the answer of `stateScript`. */
export function readListState([epoch, version, run, before]: readonly unknown[]): ListState {
	const former = new Map<string, number>();
	for (const [, id, at] of String(before).matchAll(/([^ ]+) (\d+) /g)) if (!former.has(id!)) former.set(id!, Number(at));
	return { epoch: String(epoch), version: Number(version), run: String(run), former };
}

/** Whether the list has all changes that the copy has, so that the copy only needs the later ones. */
export function continues(copy: ListPosition, list: ListState): boolean {
	if (copy.epoch !== list.epoch) return false;
	const common = copy.run === list.run ? list.version : list.former.get(copy.run);
	return common !== undefined && copy.version <= common;
}

export function positionText({ epoch, run, version }: ListPosition): string {
	return `${epoch} ${run} ${version}`;
}

/** Null = not written by this version. */
export function readPosition(text: string): ListPosition | null {
	const [epoch, run, version, ...rest] = text.split(" ");
	if (epoch === undefined || run === undefined || !/^\d{1,15}$/.test(version ?? "") || rest.length > 0) return null;
	return { epoch, run, version: Number(version) };
}

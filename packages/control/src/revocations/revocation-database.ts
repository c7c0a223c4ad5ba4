import { revocationChange } from "../questions/requests.ts";
import type { RevocationChange } from "./revocation-file.ts";
import type { Revocation } from "./revocations.ts";

/** A change of the list as a row of a database. */
export interface RevocationRow {
	readonly key: string;
	/** JSON; null = removed. */
	readonly entry: string | null;
	/** Seconds since 1970; null = for ever. */
	readonly until: number | null;
	readonly epoch: string;
	readonly version: number;
}

/** Where the list outlives all servers: `RevocationTable` of packages/postgres. All calls reject while it cannot be reached. */
export interface RevocationDatabase {
	/** For messages. */
	readonly where: string;
	start(onReady: () => void): void;
	stop(): void;
	load(): Promise<{ readonly epoch: string | null; readonly entries: readonly string[] }>;
	write(rows: readonly RevocationRow[], isCopy: boolean): Promise<void>;
	replace(rows: readonly RevocationRow[], epoch: string, version: number): Promise<void>;
}

/** The place of a change in the list of all nodes. */
interface RevocationMark {
	/** "" = there is no list of several nodes. */
	readonly epoch: string;
	readonly version: number;
}

export const noMark: RevocationMark = { epoch: "", version: 0 };

/** A server that waits for an answer gives up soon after that. */
export const databaseMsMax = 2500;

export function rowOf(change: RevocationChange, { epoch, version }: RevocationMark): RevocationRow {
	const add = "add" in change ? change.add : null;
	const { kind, id } = "add" in change ? change.add : change.remove;
	const entry = add === null ? null : JSON.stringify(add);
	return { key: JSON.stringify([kind, id]), entry, until: add?.until ?? null, epoch, version };
}

/** The valid entries of those that were read. @param invalid called with each problem. */
export function entriesIn(texts: readonly string[], invalid: (problem: string) => void): readonly Revocation[] {
	return texts.flatMap((text) => {
		try {
			const change = revocationChange({ add: JSON.parse(text) });
			return "add" in change ? [change.add] : [];
		} catch (error) {
			invalid((error as Error).message);
			return [];
		}
	});
}

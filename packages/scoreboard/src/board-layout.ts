import { packVersion, versionFix, versionProblem } from "@shardcast/wire";
import { BusError, BusErrorCode } from "./bus-error.ts";
import { guardPartBytes } from "./rows/guard-words.ts";
import {
	BoardLayout,
	balancerCounters,
	balancerHistograms,
	describedFrom,
	describedLayout,
	HeaderWord,
	type RowLayout,
	serviceRows,
	shardCounters,
	shardHistograms,
} from "./scoreboard-descriptor.ts";

const headerWords = BoardLayout.headerBytes >> 2;

/** Size of a scoreboard. */
export function boardBytes({ headerBytes, rowBytes }: RowLayout, slots: number): number {
	return headerBytes + (slots + serviceRows) * rowBytes;
}

/** Start of a row. `index` is a slot, or `slots` + a `ServiceRow`. */
export function rowOffset({ headerBytes, rowBytes }: RowLayout, index: number): number {
	return headerBytes + index * rowBytes;
}

/** Writes this program's layout into the header, without the magic number: a process that opens the file too early finds no scoreboard. */
export function describeLayout(words: Int32Array): void {
	words[HeaderWord.version] = packVersion(BoardLayout.version);
	describedLayout.forEach((name, index) => {
		words[describedFrom + index] = BoardLayout[name];
	});
}

/**
 * Reads the layout of a scoreboard created by a program of any minor version.
 * @throws BusError when it is not a scoreboard, has another major version, is incomplete, or has too little room for this program's counters.
 */
export function readLayout(buffer: ArrayBufferLike, path: string): RowLayout {
	const refuse = (what: string, fix: string) => new BusError(BusErrorCode.notABoard, `${path} ${what}`, fix);
	const words = buffer.byteLength < BoardLayout.headerBytes ? null : new Int32Array(buffer, 0, headerWords);
	if (words?.[HeaderWord.magic] !== BoardLayout.magic) throw refuse("is not a scoreboard", "name the directory of a running cluster");
	const problem = versionProblem(words[HeaderWord.version]!, BoardLayout.version);
	if (problem !== null) throw refuse(problem, versionFix);
	const layout = Object.fromEntries(describedLayout.map((name, index) => [name, words[describedFrom + index]!])) as RowLayout;
	const slots = words[HeaderWord.slots]!;
	if (!isPlausible(layout, slots)) throw refuse("describes an impossible layout", versionFix);
	if (buffer.byteLength < boardBytes(layout, slots))
		throw refuse(`has ${buffer.byteLength} bytes, not enough for ${slots} slots`, versionFix);
	const counters = Math.max(shardCounters.length, balancerCounters.length);
	if (layout.countersMax < counters) throw refuse(`has room for ${layout.countersMax} counters, this program has ${counters}`, versionFix);
	const histograms = Math.max(shardHistograms.length, balancerHistograms.length);
	if (layout.histogramsMax < histograms)
		throw refuse(`has room for ${layout.histogramsMax} histograms, this program has ${histograms}`, versionFix);
	return layout;
}

/** Whether everything is aligned and within a row. Checked before any view is made. */
function isPlausible(layout: RowLayout, slots: number): boolean {
	const { headerBytes, rowBytes, counters, countersMax, histograms, histogramBytes, histogramsMax, troubleText, troubleTextBytes, guards } =
		layout;
	const aligned = Object.values(layout).every((value) => value >= 0 && value <= 2 ** 20);
	const eights = [headerBytes, rowBytes, counters, histograms, histogramBytes, troubleText, guards].every((value) => value % 8 === 0);
	const ends = [
		counters + 8 * countersMax,
		histograms + histogramBytes * histogramsMax,
		troubleText + troubleTextBytes,
		guards + guardPartBytes,
	];
	const parts = [layout.supervisorPart, layout.balancerPart, layout.bellPart, layout.ownPart];
	const within = ends.every((end) => end <= rowBytes) && parts.every((part) => part % 4 === 0 && part + partBytes <= rowBytes);
	return aligned && eights && within && histogramBytes >= BoardLayout.histogramBytes && slots >= 1 && slots <= BoardLayout.slotsMax;
}

/** Where a row that starts at `offset` has its guards; null = the scoreboard is of an older program, without guards. */
export function guardsOffset({ guards }: RowLayout, offset: number): number | null {
	return guards === 0 ? null : offset + guards;
}

/** Minimum size of each part of a row. */
export const partBytes = 128;

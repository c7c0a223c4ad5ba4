import { libc, nativeSupport } from "./libc.ts";

export interface ClockState {
	/** A time service keeps the clock right. */
	readonly isSynchronised: boolean;
	/** Most that the kernel thinks it may be wrong. */
	readonly errorMsMax: number;
}

/** `struct timex` on 64-bit Linux: which fields to set (none), and what is read. Longer in newer kernels than now. */
const timexBytes = 512;
const maxErrorAt = 24;
const statusAt = 40;
const unsynchronised = 0x40;
const clockIsWrong = 5;

/** What the kernel knows of its clock. Changes nothing. Null where it does not say. */
export function clockState(): ClockState | null {
	if (!nativeSupport().available) return null;
	const timex = Buffer.alloc(timexBytes);
	const state = libc().adjtimex(timex);
	if (state < 0) return null;
	const isSynchronised = state !== clockIsWrong && (timex.readInt32LE(statusAt) & unsynchronised) === 0;
	return { isSynchronised, errorMsMax: Number(timex.readBigInt64LE(maxErrorAt)) / 1000 };
}

/**
 * Loaded before everything else in each process of a cluster under test (`node --import`): moves the wall clock that JavaScript sees by the milliseconds
 * that the file FAULTS_CLOCK_FILE says. The machine's clock would move for everybody, and a namespace can only move the monotonic one.
 */
import { readFileSync } from "node:fs";

const path = process.env.FAULTS_CLOCK_FILE ?? "";
const RealDate = Date;
let offsetMs = 0;

class MovedDate extends RealDate {
	constructor(...args: unknown[]) {
		if (args.length === 0) super(RealDate.now() + offsetMs);
		else super(...(args as [number]));
	}

	static override now(): number {
		return RealDate.now() + offsetMs;
	}

	/** Dates that come from C++, such as those of files. */
	static override [Symbol.hasInstance](value: unknown): boolean {
		return Object.prototype.toString.call(value) === "[object Date]";
	}
}

globalThis.Date = MovedDate as DateConstructor;
setInterval(() => {
	try {
		offsetMs = Number(readFileSync(path, "utf8"));
	} catch {
		offsetMs = 0; // the run is over, and has deleted it
	}
}, 100).unref();

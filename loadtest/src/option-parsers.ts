import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { InvalidArgumentError, Option } from "commander";
import type { GeneratorPlace } from "./audience.ts";
import { parseTargets, type Target } from "./target.ts";
import { parseThreshold, type Threshold } from "./thresholds/threshold.ts";

/** What the values of single flags may be. Each throws what commander turns into a line that names the flag. */

export function checked<T>(parse: (text: string) => T): (text: string) => T {
	return (text) => {
		try {
			return parse(text);
		} catch (error) {
			throw new InvalidArgumentError(`It ${(error as Error).message}.`);
		}
	};
}

/** A flag that may be repeated. */
function repeated<T>(parse: (text: string) => T, max: number): (text: string, before: readonly T[] | undefined) => T[] {
	return (text, before = []) =>
		checked((given) => {
			if (before.length >= max) throw new RangeError(`is one too many; ${max} are the most`);
			return [...before, parse(given)];
		})(text);
}

export function whole(min: number, max: number): (text: string) => number {
	return checked((text) => {
		const value = Number(text);
		if (!/^\d+$/.test(text) || value < min || value > max) throw new RangeError(`is not a whole number from ${min} to ${max}`);
		return value;
	});
}

export const rateMax = 1_000_000;
export const rate = checked((text) => {
	const value = Number(text);
	if (!(value > 0 && value <= rateMax)) throw new RangeError(`is not a number of messages per second above 0, at most ${rateMax}`);
	return value;
});

/** URLs after those before; the default goes when one is given. */
export const urls =
	(defaults: readonly Target[]) =>
	(text: string, before: readonly Target[]): Target[] =>
		checked((list: string) => parseTargets(list, before === defaults ? [] : before, true))(text);

/** Flags of `shardcast multi` that the load test gives its own cluster. */
const portFlags = ["--lb-addr", "--base-port"];

/** The cluster's flags. Its ports are found free by the load test, which waits there until it serves. */
export const startFlags = checked((text) => {
	const words = text.split(/\s+/).filter((word) => word !== "");
	// "--shards=2" as "--shards", "2".
	const flags = words.flatMap((word) => /^(--[a-z-]+)=(.*)$/.exec(word)?.slice(1) ?? [word]);
	const port = flags.find((flag) => portFlags.includes(flag));
	if (port !== undefined)
		throw new RangeError(
			`has ${port}, but the load test finds free ports itself; leave it out, or start that cluster and name it with --url`,
		);
	return flags;
});

const thresholdsMax = 50;
export const thresholds: (text: string, before: readonly Threshold[] | undefined) => Threshold[] = repeated(parseThreshold, thresholdsMax);

const headersMax = 20;
/** What the load test writes itself. */
const ownHeaders = /^(host|upgrade|connection|content-length|content-type|transfer-encoding|sec-websocket-.*)$/i;

export const headers: (text: string, before: readonly [string, string][] | undefined) => [string, string][] = repeated((text) => {
	const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(text);
	if (match === null) throw new RangeError('is not a header; write "Name: value"');
	if (ownHeaders.test(match[1])) throw new RangeError(`sets ${match[1]}, which the load test writes itself`);
	return [match[1], match[2].trim()];
}, headersMax);

const sourceAddressesMax = 250;

export const addresses = checked((list) => {
	const given = list.split(",").map((text) => text.trim());
	const wrong = given.find((text) => isIP(text) === 0);
	if (wrong !== undefined) throw new RangeError(`has "${wrong}", which is not an IP address of this machine`);
	if (given.length > sourceAddressesMax) throw new RangeError(`has more than ${sourceAddressesMax} addresses`);
	return given;
});

const generatorsMax = 100;

/** "2/3": the second of three load tests. */
export const generatorPlace = checked((text): GeneratorPlace => {
	const [, place, count] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
	if (place === undefined) throw new RangeError("is not of the form 2/3 (the second of three load tests)");
	const [index, generators] = [Number(place) - 1, Number(count)];
	if (index < 0 || index >= generators || generators > generatorsMax)
		throw new RangeError(`is none of the places 1/${Math.min(Math.max(1, generators), generatorsMax)} to n/n, n at most ${generatorsMax}`);
	return { index, count: generators };
});

export const certificateAuthority = checked((path) => {
	try {
		return readFileSync(path, "utf8");
	} catch (error) {
		throw new RangeError(`can't be read (${(error as NodeJS.ErrnoException).code})`);
	}
});

/** An option with a default, which the help shows as one would write it. */
export function defaulted<T>(flags: string, description: string, parse: (text: string) => T, value: string): Option {
	return new Option(flags, description).argParser(parse).default(parse(value), value);
}

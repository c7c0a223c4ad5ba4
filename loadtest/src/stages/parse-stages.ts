import { parseDuration } from "@shardcast/config";
import type { Stage } from "./stages.ts";

interface StageValues {
	/** For messages: "clients". */
	readonly what: string;
	readonly max: number;
	/** Whether only whole numbers make sense. */
	readonly whole: boolean;
}

const stagesMax = 100;
const stageMsMax = 7 * 24 * 3_600_000;

/**
 * Reads `0-1000:30s,1000:60s,1000-0:10s`: from 0 to 1,000 in 30 seconds, 1,000 for a minute, back to 0 in 10 seconds.
 * @throws RangeError whose message completes the sentence `"<text>" …` and names the place.
 */
export function parseStages(text: string, values: StageValues): Stage[] {
	const stages: Stage[] = [];
	let at = 0;
	for (const part of text.split(",")) {
		const number = stages.length + 1;
		const refuse = (offset: number, problem: string): never => {
			throw new RangeError(`has a mistake in stage ${number}, at character ${at + offset + 1}: ${problem}`);
		};
		const indent = part.length - part.trimStart().length;
		stages.push(parseStage(part.trim(), values, (offset, problem) => refuse(indent + offset, problem)));
		if (number > stagesMax) throw new RangeError(`has more than ${stagesMax} stages`);
		at += part.length + 1;
	}
	return stages;
}

type Refuse = (offset: number, problem: string) => never;

function parseStage(text: string, values: StageValues, refuse: Refuse): Stage {
	if (text === "") refuse(0, "nothing stands there; write a stage as 0-1000:30s or 1000:30s");
	const colon = text.indexOf(":");
	if (colon < 0) refuse(text.length, `":" and a time are missing; write ${text}:30s`);
	const dash = text.slice(0, colon).indexOf("-");
	const from = parseValue(text.slice(0, dash < 0 ? colon : dash), 0, values, refuse);
	const to = dash < 0 ? from : parseValue(text.slice(dash + 1, colon), dash + 1, values, refuse);
	let ms = 0;
	try {
		ms = parseDuration(text.slice(colon + 1));
	} catch (error) {
		refuse(colon + 1, `"${text.slice(colon + 1)}" ${(error as Error).message}`);
	}
	if (ms <= 0 || ms > stageMsMax)
		refuse(colon + 1, "a stage lasts more than 0 and at most 7 days; to jump to another value, begin with it");
	return { from, to, ms };
}

function parseValue(text: string, offset: number, { what, max, whole }: StageValues, refuse: Refuse): number {
	const value = Number(text);
	if (!/^\s*\d+(\.\d+)?\s*$/.test(text) || value > max || (whole && !Number.isInteger(value)))
		refuse(offset, `"${text}" is not a ${whole ? "whole number" : "number"} of ${what} from 0 to ${max}`);
	return value;
}

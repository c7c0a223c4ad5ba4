import { plainJson } from "./plain-json.ts";
import type { Verb } from "./verb.ts";

const textMax = 200;

/** A call of a verb as a command line, for the log and for people. */
export function commandText(
	{ name, arguments: table }: Pick<Verb, "name" | "arguments">,
	given: Readonly<Record<string, unknown>>,
): string {
	const words: string[] = [name];
	const flags: string[] = [];
	for (const [argument, { place, placeholder }] of Object.entries(table)) {
		const value = Object.hasOwn(given, argument) ? given[argument] : undefined;
		if (value === undefined || value === null || value === false || value === "false") continue;
		if (place === "word") words.push(quoted(value));
		else flags.push(placeholder === null ? `--${argument}` : `--${argument} ${quoted(value)}`);
	}
	const text = [...words, ...flags].join(" ");
	return text.length > textMax ? `${text.slice(0, textMax)}…` : text;
}

/** As it is where that cannot be misread. */
function quoted(value: unknown): string {
	return typeof value === "string" && /^[\w@:.,/-]+$/.test(value) ? value : plainJson(value);
}

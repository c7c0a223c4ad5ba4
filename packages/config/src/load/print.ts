import { type ConfigKey, fileKey, optionOf, sections } from "../options/options.ts";
import type { LoadedConfig } from "./load.ts";
import { describeSource } from "./source.ts";

/**
 * All settings with their values and where these came from, as a config file that says the same; secrets, which are hidden, are
 * comments in it.
 */
export function formatConfig({ config, sources }: LoadedConfig): string {
	const lines: string[] = [];
	for (const [title, section] of Object.entries(sections)) {
		lines.push(`# ${title}`);
		for (const key of Object.keys(section) as ConfigKey[]) {
			const { show, secret } = optionOf(key);
			const line = `${secret ? "# " : ""}${`${fileKey(key)}:`.padEnd(20)} ${secret ? show(config[key]) : scalar(show(config[key]))}`;
			lines.push(`${line.padEnd(46)} # ${describeSource(sources[key])}`);
		}
		lines.push("");
	}
	return lines.join("\n");
}

/** Quoted unless YAML reads the plain text as that very text or number. */
function scalar(text: string): string {
	return text === "[]" || /^[\w./:-]*[\w/]$/.test(text) ? text : JSON.stringify(text);
}

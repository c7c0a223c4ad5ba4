import { type ChannelList, channelList, everybody } from "@shardcast/wire";
import type { SourcePartition, SourceRecord } from "../source.ts";

type Part = { readonly kind: "text"; readonly text: string } | { readonly kind: "topic" | "key" | "partition" } | HeaderPart;
type HeaderPart = { readonly kind: "header"; readonly name: string };

/** To all clients, whatever they listen to. */
const everybodyTemplate = "*";

/** Most names kept; beyond it all are forgotten, and made again as they come. */
const cachedNamesMax = 65_536;

/** @throws RangeError with the rest of the sentence that begins with the template. */
export function parseTemplate(template: string): readonly Part[] {
	if (template === "") throw new RangeError(`is empty; "${everybodyTemplate}" stands for everybody`);
	const parts: Part[] = [];
	let at = 0;
	for (const match of template.matchAll(/\{([^{}]*)\}/g)) {
		if (match.index > at) parts.push(literal(template.slice(at, match.index)));
		const field = match[1]!;
		if (field === "topic" || field === "key" || field === "partition") parts.push({ kind: field });
		else if (field.startsWith("header:") && field.length > 7) parts.push({ kind: "header", name: field.slice(7) });
		else throw new RangeError(`has {${field}}; there are {topic}, {key}, {partition} and {header:name}`);
		at = match.index + match[0].length;
	}
	if (at < template.length) parts.push(literal(template.slice(at)));
	return parts;
}

function literal(text: string): Part {
	if (/[{}]/.test(text)) throw new RangeError("has a brace without its other half");
	return { kind: "text", text };
}

/**
 * Gives a record's channel by a template such as `{key}.{topic}`. Names are kept, so a record of a known name costs one
 * look-up; a template of `{topic}` alone does not even make the name.
 */
export class ChannelTemplate {
	readonly #parts: readonly Part[];
	readonly #onlyTopic: boolean;
	readonly #everybody: boolean;
	readonly #lists = new Map<string, ChannelList | null>();

	constructor(template: string) {
		this.#everybody = template === everybodyTemplate;
		this.#parts = this.#everybody ? [] : parseTemplate(template);
		this.#onlyTopic = this.#parts.length === 1 && this.#parts[0]!.kind === "topic";
	}

	/** Null when the record has no key or no header that the template asks for, or the name is empty or too long. */
	channelsOf(partition: SourcePartition, record: SourceRecord): ChannelList | null {
		if (this.#everybody) return everybody;
		const name = this.#onlyTopic ? partition.topic : this.#render(partition, record);
		if (name === null) return null;
		const known = this.#lists.get(name);
		if (known !== undefined) return known;
		if (this.#lists.size >= cachedNamesMax) this.#lists.clear();
		const list = listOf(name);
		this.#lists.set(name, list);
		return list;
	}

	#render(partition: SourcePartition, record: SourceRecord): string | null {
		let name = "";
		for (const part of this.#parts) {
			switch (part.kind) {
				case "text":
					name += part.text;
					break;
				case "topic":
					name += partition.topic;
					break;
				case "partition":
					name += partition.partition;
					break;
				case "key":
					if (record.keyStart < 0) return null;
					name += record.bytes.toString("utf8", record.keyStart, record.keyEnd);
					break;
				case "header": {
					const value = record.header(part.name);
					if (value === undefined || value === null) return null;
					name += value.toString();
					break;
				}
				default:
					part satisfies never;
			}
		}
		return name;
	}
}

function listOf(name: string): ChannelList | null {
	try {
		return channelList([name]);
	} catch (error) {
		if (error instanceof RangeError) return null;
		throw error;
	}
}

import type { Kind, Objects } from "../options/kind.ts";
import { type ConfigKey, fileShape, optionOf, sections } from "../options/options.ts";
import type { Shape } from "../options/shape.ts";
import { yaml } from "./file/yaml.ts";
import { describeLayer } from "./layer.ts";
import type { LoadedConfig } from "./load.ts";

/** A value of an option, to be written. */
interface PrintedValue {
	readonly kind: Kind<unknown>;
	readonly value: unknown;
	/** Where it came from; "" for a value within another one. */
	readonly note: string;
}

const noteColumn = 46;

/**
 * All options with their values and where these came from, as a config file that says the same; secrets, which are hidden, are
 * comments in it.
 */
export function formatConfig({ config, layers }: LoadedConfig): string {
	const printed = (key: ConfigKey): PrintedValue => ({ kind: optionOf(key), value: config[key], note: describeLayer(layers[key]) });
	return [...fileShape]
		.flatMap(([name, section]) => [
			`# ${sections[name as keyof typeof sections].about}`,
			...yamlLines(new Map([[name, section]]), printed),
			"",
		])
		.join("\n");
}

/** The same as one JSON object, which is a config file as well; without secrets, and without where values came from. */
export function configJson({ config }: LoadedConfig): string {
	const toPlain = (shape: Shape<ConfigKey>): Record<string, unknown> =>
		Object.fromEntries(
			[...shape].map(([name, entry]) => [name, typeof entry === "string" ? optionOf(entry).toFile(config[entry]) : toPlain(entry)]),
		);
	return JSON.stringify(toPlain(fileShape), null, 2);
}

/** A part of a config file in YAML. */
export function yamlLines<K extends string>(shape: Shape<K>, printed: (key: K) => PrintedValue, indent = ""): string[] {
	return [...shape].flatMap(([name, entry]) =>
		typeof entry === "string" ? linesOf(name, printed(entry), indent) : [`${indent}${name}:`, ...yamlLines(entry, printed, `${indent}  `)],
	);
}

function linesOf(name: string, { kind, value, note }: PrintedValue, indent: string): string[] {
	if (kind.secret) return [noted(`${indent}# ${name}: ${kind.show(value)}`, note)];
	if (kind.objects?.identity === null) {
		return [noted(`${indent}${name}:`, note), ...fieldLines(kind.objects, Object.keys(kind.objects.fields), value, `${indent}  `)];
	}
	const items = value as readonly unknown[];
	if (kind.objects === null || items.length === 0) return [noted(`${indent}${name}: ${inline(kind.toFile(value))}`, note)];
	const { objects } = kind;
	return [noted(`${indent}${name}:`, note), ...items.flatMap((item) => itemLines(objects, item, `${indent}  `))];
}

/** `- name: chat`, and below it the other fields. */
function itemLines(objects: Objects, item: unknown, indent: string): string[] {
	const { fields, identity } = objects;
	// First what is no secret for certain: a list's item can't begin with a comment.
	const properties = [identity!, ...Object.keys(fields).filter((property) => property !== identity)];
	const lines = fieldLines(objects, properties, item, `${indent}  `);
	return lines.map((line, index) => (index === 0 ? `${indent}- ${line.trimStart()}` : line));
}

function fieldLines({ fields }: Objects, properties: readonly string[], item: unknown, indent: string): string[] {
	const values = item as Readonly<Record<string, unknown>>;
	return properties.flatMap((property) =>
		linesOf(fields[property].key, { kind: fields[property], value: values[property], note: "" }, indent),
	);
}

function noted(line: string, note: string): string {
	return note === "" ? line : `${line.padEnd(noteColumn)} # ${note.replace(/\s+/g, " ")}`;
}

/** Text is quoted unless YAML reads it, as it is, as that very text. */
function inline(value: unknown): string {
	if (typeof value !== "string") return JSON.stringify(value);
	const plain = yaml().stringify(value, { lineWidth: 0 }).trimEnd();
	return plain === value ? value : JSON.stringify(value);
}

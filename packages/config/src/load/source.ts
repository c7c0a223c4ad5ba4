import type { ConfigKey } from "../options/options.ts";

/** Where a value came from. */
export type Source =
	| { readonly kind: "flag"; readonly name: string }
	| { readonly kind: "environment"; readonly name: string }
	| FileSource
	| { readonly kind: "default" };

export interface FileSource {
	readonly kind: "file";
	readonly path: string;
	readonly line: number;
	/** The path within the file, such as "limits.message_rate". */
	readonly key: string;
	/** The line of a value within this one, or of what is nearest to it. */
	readonly lineAt?: (path: ValuePath) => number;
}

/** The way to a value within a table or a list of objects: field, index, field … */
export type ValuePath = readonly (string | number)[];

/** A value as it was found, not checked yet. */
export interface Found {
	readonly raw: unknown;
	readonly source: Source;
}

export type FoundByKey = ReadonlyMap<ConfigKey, Found>;

/** "--shards", "SHARDCAST_SHARDS", "shardcast.yaml:3: cluster.shards" or "default". */
export function describeSource(source: Source): string {
	switch (source.kind) {
		case "flag":
		case "environment":
			return source.name;
		case "file":
			return `${source.path}:${source.line}: ${source.key}`;
		case "default":
			return "default";
		default:
			return source satisfies never;
	}
}

/** As `describeSource`, for a value within: "shardcast.yaml:7: channel.namespaces[1].name", "SHARDCAST_NAMESPACES: [1].name". */
export function describeWithin(source: Source, path: ValuePath): string {
	if (path.length === 0) return describeSource(source);
	const name = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
	if (source.kind !== "file") return `${describeSource(source)}: ${name.replace(/^\./, "")}`;
	return describeSource({ ...source, line: source.lineAt?.(path) ?? source.line, key: `${source.key}${name}` });
}

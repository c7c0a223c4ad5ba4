import type { ConfigKey } from "../options/options.ts";

/** Where a value came from. */
export type Source =
	| { readonly kind: "flag"; readonly name: string }
	| { readonly kind: "environment"; readonly name: string }
	/** `key` is the path within the file, such as "limits.message_rate". */
	| { readonly kind: "file"; readonly path: string; readonly line: number; readonly key: string }
	| { readonly kind: "default" };

/** The way to a value within a list of objects: index, field, index … */
export type ValuePath = readonly (string | number)[];

/** A value as it was found, not checked yet. */
export interface Found {
	readonly raw: unknown;
	readonly source: Source;
	/** The line of a value within this one, or of what is nearest to it. Only for values from a file. */
	readonly lineAt?: (path: ValuePath) => number;
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
export function describeWithin({ source, lineAt }: Found, path: ValuePath): string {
	if (path.length === 0) return describeSource(source);
	const name = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
	if (source.kind !== "file") return `${describeSource(source)}: ${name}`;
	return describeSource({ ...source, line: lineAt?.(path) ?? source.line, key: `${source.key}${name}` });
}

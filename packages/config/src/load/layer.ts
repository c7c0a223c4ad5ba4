import type { ConfigKey } from "../options/options.ts";

/** Where a value came from. */
export type Layer =
	| { readonly kind: "flag"; readonly name: string }
	| { readonly kind: "environment"; readonly name: string }
	| FileLayer
	| { readonly kind: "default" };

interface FileLayer {
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
export interface FoundValue {
	readonly raw: unknown;
	readonly layer: Layer;
}

export type FoundValues = ReadonlyMap<ConfigKey, FoundValue>;

/** "--shards", "SHARDCAST_SHARDS", "shardcast.yaml:3: cluster.shards" or "default". */
export function describeLayer(layer: Layer): string {
	switch (layer.kind) {
		case "flag":
		case "environment":
			return layer.name;
		case "file":
			return `${layer.path}:${layer.line}: ${layer.key}`;
		case "default":
			return "default";
		default:
			return layer satisfies never;
	}
}

/** As `describeLayer`, for a value within: "shardcast.yaml:7: channel.namespaces[1].name", "SHARDCAST_NAMESPACES: [1].name". */
export function describeWithin(layer: Layer, path: ValuePath): string {
	if (path.length === 0) return describeLayer(layer);
	const name = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
	if (layer.kind !== "file") return `${describeLayer(layer)}: ${name.replace(/^\./, "")}`;
	return describeLayer({ ...layer, line: layer.lineAt?.(path) ?? layer.line, key: `${layer.key}${name}` });
}

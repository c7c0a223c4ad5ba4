import type { ConfigKey } from "../options/options.ts";

/** Where a value came from. */
export type Source =
	| { readonly kind: "flag"; readonly name: string }
	| { readonly kind: "environment"; readonly name: string }
	| { readonly kind: "file"; readonly path: string; readonly line: number; readonly key: string }
	| { readonly kind: "default" };

/** A value as it was found, not checked yet. */
export interface Found {
	readonly raw: unknown;
	readonly source: Source;
}

export type FoundByKey = ReadonlyMap<ConfigKey, Found>;

/** "--shards", "SHARDCAST_SHARDS", "shardcast.yaml:3: shards" or "default". */
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

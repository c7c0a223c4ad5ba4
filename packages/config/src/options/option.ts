import type { Kind } from "./kind.ts";

export type ServingCommand = "multi" | "single" | "edge" | "gateway";

/** For options that the edge has, too. */
export const withEdge = ["multi", "single", "edge"] as const;

/** For options that the gateway has, too. */
export const withGateway = ["multi", "single", "gateway"] as const;

/** For options of servers that have several processes. */
export const withProcesses = ["multi", "gateway"] as const;

/** For options that every server has. */
export const everywhere = ["multi", "single", "edge", "gateway"] as const;

/** One option: its names, its default, and the kind of value that it has. */
export interface Option<T> extends Kind<T> {
	/** Without the dashes. The environment variable is spelt from it. */
	readonly flag: string;
	/** Another environment variable for it, which counts where the one with SHARDCAST_ is not set; null = none. */
	readonly variable: string | null;
	/** Its key within its section of the file, such as "base_port", or "tls.ca" in a table there; "" = it is the whole section. */
	readonly key: string;
	/** Another name for `key`, which a file of Centrifugo has; null = none. */
	readonly otherKey: string | null;
	readonly default: T;
	/** One sentence, which says what zero means where zero is special. */
	readonly help: string;
	/** A new value takes effect while a process runs (SIGHUP, `control.reload`); any other is fixed by then in a socket, a ring or a port. */
	readonly live: boolean;
	/** The commands that use it. */
	readonly commands: readonly ServingCommand[];
}

interface OptionRow<T> {
	readonly flag: string;
	readonly key: string;
	/** None if not given. */
	readonly variable?: string;
	/** None if not given. */
	readonly otherKey?: string;
	readonly kind: Kind<T>;
	readonly default: NoInfer<T>;
	readonly help: string;
	/** `multi` and `single` if not given. */
	readonly commands?: readonly ServingCommand[];
	/** False if not given. */
	readonly live?: boolean;
}

export function option<T>({ kind, ...row }: OptionRow<T>): Option<T> {
	return { live: false, variable: null, otherKey: null, commands: ["multi", "single"], ...row, ...kind };
}

import type { Config } from "../options/options.ts";
import { ConfigError } from "./config-error.ts";

/**
 * Namespaces whose history a reload has taken away, for as long as the process that reloads lives, and with it the cluster. What is published
 * meanwhile has no offset, while the channels keep theirs: if a history came back, a client that was away would miss that and be told that it
 * recovered. So a reload that gives one back is refused.
 *
 * Bound: the names in the files that were read.
 */
export class WithdrawnHistories {
	readonly #names = new Set<string>();

	/**
	 * Before a reload.
	 * @returns to be called once the new options are in force.
	 * @throws ConfigError when they give a history back.
	 */
	prepare(running: Config, next: Config): () => void {
		const given = namesWithHistory(next);
		const back = given.filter((name) => this.#names.has(name));
		if (back.length > 0)
			throw new ConfigError(
				back.map(
					(name) =>
						`history_size of ${name === "" ? "channel.without_namespace" : `the namespace "${name}"`}: an earlier reload took this history away, and what was published since then has no offset; restart shardcast to give it a history again`,
				),
			);
		return () => {
			for (const name of namesWithHistory(running)) if (!given.includes(name)) this.#names.add(name);
		};
	}
}

/** "" = channels without a namespace. */
function namesWithHistory({ channelWithoutNamespace, channelNamespaces }: Config): string[] {
	const all = [{ ...channelWithoutNamespace, name: "" }, ...channelNamespaces];
	return all.filter(({ historySize }) => historySize > 0).map(({ name }) => name);
}

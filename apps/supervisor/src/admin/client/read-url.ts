import { isLoopback, isLoopbackName } from "@shardcast/http";
import { StartupError } from "@shardcast/process";

interface GivenUrl {
	readonly url: URL;
	/** What the user should know; null = nothing. */
	readonly warning: string | null;
}

/** @throws StartupError when it is not the URL of a balancer, or there is no key for it. */
export function readUrl(text: string, key: string | undefined): GivenUrl {
	const url = URL.canParse(text) ? new URL(text) : null;
	if (
		url === null ||
		!["http:", "https:"].includes(url.protocol) ||
		!["", "/"].includes(url.pathname) ||
		url.search !== "" ||
		url.username !== ""
	)
		throw new StartupError(`--url: "${text}" is not the URL of a balancer, such as https://node-1.example.com or http://127.0.0.1:3005`, {
			flag: "--url",
		});
	if (key === undefined)
		throw new StartupError(
			"--url: over HTTP the cluster wants its admin key; set SHARDCAST_ADMIN_KEY, or admin_interface.key in the file of --config",
			{ flag: "--url" },
		);
	const name = url.hostname.replace(/^\[|\]$/g, "");
	const isPrivate = url.protocol === "https:" || isLoopback(name) || isLoopbackName(url.hostname);
	return { url, warning: isPrivate ? null : `warning: others can read the admin key on the way to ${url.origin}; use https` };
}

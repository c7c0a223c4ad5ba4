import { type Address, type Config, listensEverywhere, urlHost, usesTls } from "@shardcast/config";
import { access } from "./gateway-access.ts";

interface BannerFacts {
	readonly config: Config;
	/** With its actual port. */
	readonly address: Address;
	/** Its backends. */
	readonly about: string;
	/** Null = it is one process. */
	readonly processes: string | null;
}

/** The line that a gateway prints on stdout when it serves. URLs are for this machine, so it says when others reach it, too. */
export function gatewayBanner({ config, address, about, processes }: BannerFacts): string {
	const s = usesTls(config) ? "s" : "";
	const host = urlHost(address);
	const where = listensEverywhere(address) ? " (on all addresses of this machine)" : "";
	const urls = `ws${s}://${host}, http${s}://${host}/health, http${s}://${host}/console${where}`;
	const parts = [urls, `to ${about}`, ...(processes === null ? [] : [processes]), access(config)];
	return `shardcast gateway, pid ${process.pid}: ${parts.join("; ")}\n`;
}

import type { Config } from "@shardcast/config";
import { Discovery, type DiscoveryParts } from "../discovery/discovery.ts";

/** Discovery with the options of a gateway. */
export function discoveryOf({ discoveryPort, discoverySecret, discoveryNetworks }: Config, parts: DiscoveryParts): Discovery {
	const options = {
		listen: { port: discoveryPort },
		secrets: discoverySecret === undefined ? [] : [discoverySecret],
		networks: discoveryNetworks,
		flag: "--discovery-port",
	};
	return new Discovery(options, parts);
}

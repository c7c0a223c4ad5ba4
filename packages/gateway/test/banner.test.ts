import { defaultConfig, parseAddress } from "@shardcast/config";
import { expect, it } from "vitest";
import { gatewayBanner } from "../src/banner.ts";
import { aboutBackends } from "../src/gateway-access.ts";

it.each([":3020", "0.0.0.0:3020", "[::]:3020"])(
	"the banner of a gateway on %s has a URL for this machine, and says that it listens everywhere",
	(text) => {
		const config = defaultConfig({ gatewayBackends: ["127.0.0.1:9001"] });
		const about = aboutBackends(config, 9999);
		expect(gatewayBanner({ config, address: parseAddress(text), about, processes: "2 processes" })).toBe(
			`shardcast gateway, pid ${process.pid}: ws://127.0.0.1:3020, http://127.0.0.1:3020/health, http://127.0.0.1:3020/console (on all addresses of this machine); to the backend 127.0.0.1:9001, and backends that announce themselves on UDP port 9999 (on all addresses); 2 processes; open mode: no client needs a token\n`,
		);
	},
);

it("one on a single address says no more than its URLs", () => {
	const config = defaultConfig({ gatewayBackends: ["127.0.0.1:9001"] });
	const about = aboutBackends(config, null);
	expect(gatewayBanner({ config, address: { host: "127.0.0.1", port: 3020 }, about, processes: null })).toMatch(
		/\/console; to the backend 127\.0\.0\.1:9001; open mode/,
	);
});

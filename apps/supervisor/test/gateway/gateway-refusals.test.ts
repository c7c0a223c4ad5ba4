import { runCommandLine } from "@shardcast/config";
import { expect, it, vi } from "vitest";
import { commandLine } from "../../src/cli.ts";

// That it is so of a process, too: run-gateway.process.test.ts of the gateway.
it.each([
	[
		["3020"],
		'shardcast: --backends: there are no backends; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
	],
	[
		["127.0.0.1:9001"],
		'shardcast: --backends: there are no backends (127.0.0.1:9001 is the address for clients); name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
	],
	[["port", "127.0.0.1:9001"], 'shardcast: <ws_port>: "port" is not an address; write :3020, 127.0.0.1:3020 or [::1]:3020'],
	[["70000", "a:1"], 'shardcast: <ws_port>: ":70000" has the port 70000; ports end at 65535'],
	[["3020", "localhost"], 'shardcast: <host:port>: "localhost" has no port of a backend; write localhost:9001'],
	[["3020", "9001"], 'shardcast: <host:port>: "9001" has no host of a backend; write 127.0.0.1:9001'],
	[["3020", "a:0"], 'shardcast: <host:port>: "a:0" has the port 0, where no backend can listen; write 127.0.0.1:9001'],
	[["3020", "a:65536"], 'shardcast: <host:port>: "a:65536" has the port 65536; ports end at 65535'],
	[
		["3020", "http://a:1"],
		'shardcast: <host:port>: "http://a:1" is a URL or a path; backends speak TCP: write only host and port, such as 127.0.0.1:9001',
	],
	[["3020", "a:1", "A:01"], "shardcast: <host:port>: a:1 is listed twice"],
	[["3020", "[::1]:1", "[0:0::1]:1"], "shardcast: <host:port>: [::1]:1 is listed twice"],
	[["3020", "a:1", "--discovery-networks", "10.0.0.0/8"], "shardcast: --discovery-networks: has no effect without --discover; add that"],
	[["3020", "a:1", "--discovery-secret", "a-secret-of-16-ch"], "shardcast: --discovery-secret: has no effect without --discover; add that"],
	[
		["3020", "a:1", "--cpus", "0"],
		"shardcast: --cpus: has no effect on a gateway of one process; leave it out, or give --shards 2 or more",
	],
	[
		["3020", "--shards", "2"],
		'shardcast: --backends: there are no backends; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with --discover',
	],
	[
		["3020", "a:1", "--shards", "auto"],
		"shardcast: --shards: a gateway cannot change the number of its processes while it runs; write 0 for one per CPU",
	],
	[["3020", "a:1", "--client-bandwidth", "2"], 'shardcast: --client-bandwidth: "2" is not 0 or between 1KiB and 10GiB'],
	[["3020", "a:1", "--gateway-addr", ":1"], "shardcast: <ws_port>: means the same as --gateway-addr; give one of the two"],
] as const)("shardcast gateway %j: status 2 and one line", async (args, line) => {
	const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);
	const outcome = await runCommandLine(commandLine, ["gateway", ...args], {});
	expect(written.mock.calls.map(([text]) => text)).toEqual([`${line}\n`]);
	expect(outcome).toBe(2);
});

import { checkedText, secret } from "../../kinds.ts";
import { option, withProcesses } from "../../option.ts";

/** Most bytes of the path of a Unix socket on Linux. */
const socketPathBytesMax = 107;

/** Section `admin_interface`: files of Centrifugo have a section `admin`, for its own page. */
export const adminOptions = {
	adminSocket: option({
		flag: "admin-socket",
		key: "socket",
		kind: checkedText({ argument: "<path>", check: checkSocketPath }),
		default: "",
		commands: withProcesses,
		help: "Path of the Unix socket on which the supervisor takes commands such as `shardcast status`; only its user and root can use it; empty = in the cluster's own folder of --cluster-directory. The commands find it in both cases.",
	}),
	adminKey: option({
		flag: "admin-key",
		key: "key",
		kind: secret({ argument: "<key>", charactersMin: 16, isHeader: true }),
		default: undefined,
		commands: withProcesses,
		live: true,
		help: "Key, at least 16 characters, with which the same commands are taken over HTTP on the balancer's port (/admin/v1) and from the console; none = only over the socket. Set it in the environment, where ps does not show it.",
	}),
} as const;

/** @throws RangeError when no socket can have this path. */
function checkSocketPath(path: string): void {
	if (path === "") return;
	if (!path.startsWith("/")) throw new RangeError("is not an absolute path");
	if (path.includes("\0")) throw new RangeError("contains a NUL character");
	const bytes = Buffer.byteLength(path);
	if (bytes > socketPathBytesMax) throw new RangeError(`has ${bytes} bytes; the path of a Unix socket has at most ${socketPathBytesMax}`);
}

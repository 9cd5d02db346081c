/** What `--help` of a command shows below its options. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  nodes: [
    "connmix nodes",
    "connmix nodes --json | jq -r .api_server",
    "connmix nodes --api http://10.0.0.5:6789 --user ops",
  ],
  send: [
    "connmix send 1463786910324359 'hello, world!'",
    "connmix send 1463786910324359 --binary < picture.png",
    "date | connmix send 1463786910324359",
  ],
  publish: ["connmix publish room:1 'hello, all!'", 'connmix publish room:1 "$(jq -c . notice.json)"'],
  consume: [
    "connmix consume foo",
    "connmix consume foo bar | jq -c .data",
    "connmix consume foo --count 1 --api http://10.0.0.5:6789",
  ],
  call: [
    "connmix call 1463786910324359 context",
    "connmix call 1463786910324359 set_context_value user_id 10000",
    "connmix call 1463786910324359 subscribe room:1 room:2",
    "connmix call 1463786910324359 close 4000 'signed out'",
  ],
  top: ["connmix top", "connmix top --interval 10 --count 6 > load.txt"],
};

description = [[
What a scanner under somebody else's control would try: the attempts of `doctor --sandbox`. nmap runs
Lua, so what this script can do, an nmap in foreign hands can do.

Each attempt ends by saying whether it got through. All are bounded, so that the host takes no harm
where nothing holds them, and they clean up what they made. They send no packet.

No scan can name this file: no path of a script is in its grammar.
]]
author = "Security MCP Server"
license = "Apache-2.0"
categories = { "safe" }

prerule = function() return true end

-- The outcome of an attempt, thrown to whoever made it.
local function through(what) error({ text = "ESCAPE-THROUGH " .. what }) end
local function held(why) error({ text = "ESCAPE-HELD " .. why }) end

local function readable(paths)
  for _, path in ipairs(paths) do
    local file = io.open(path)
    if file then
      file:close()
      through(path)
    end
  end
  held("none of " .. #paths)
end

local function writable(folders)
  for _, folder in ipairs(folders) do
    local path = folder .. "/security-mcp-doctor"
    local file = io.open(path, "w")
    if file then
      file:close()
      os.remove(path)
      through(folder)
    end
  end
  held("none of " .. #folders)
end

-- A line of what the kernel says of this process.
local function status(name)
  for line in io.lines("/proc/self/status") do
    local value = line:match("^" .. name .. ":%s*(%S+)")
    if value then return value end
  end
  return "unknown"
end

local attempts = {}

function attempts.shadow()
  readable({ "/etc/shadow" })
end

function attempts.homes()
  readable({ "/root", "/home" })
end

-- Where the server's process is. In a container the server is process 1, and so is another process in
-- the sandbox's own namespace.
local function server_of(facts)
  local path = "/proc/" .. facts.pid
  local file = io.open(path .. "/comm")
  local name = file and file:read("l")
  if file then file:close() end
  if name and name ~= "deno" then held("its number is another process's") end
  return path
end

function attempts.server_files(facts)
  local server = server_of(facts)
  readable({ server .. "/cwd/deno.json", server .. "/root/etc/passwd" })
end

function attempts.server_memory(facts)
  local server = server_of(facts)
  readable({ server .. "/mem", server .. "/environ" })
end

function attempts.write()
  writable({ "/usr/share", "/etc", "/var/tmp", "/dev/shm", "/run", "/" })
end

function attempts.host_sockets()
  readable({ "/run", "/var/run", "/tmp/.X11-unix" })
end

function attempts.processes()
  local seen = 0
  for id = 1, 32768 do
    local file = io.open("/proc/" .. id .. "/comm")
    if file then
      seen = seen + 1
      file:close()
    end
  end
  -- The scanner, and the sandbox's own first process.
  if seen > 2 then through(seen .. " processes") end
  held(seen .. ", all of the sandbox")
end

function attempts.shell(facts)
  local file = io.popen("echo through")
  local said = file and file:read("l")
  if said ~= "through" then held("no shell ran") end
  if facts.own_kernel then held("a shell ran on the sandbox's own kernel") end
  through("a shell ran")
end

function attempts.fork_bomb(facts)
  local started = 0
  for _ = 1, 64 do
    if os.execute("(sleep 2 <&- >&- 2>&- &)") then started = started + 1 end
  end
  if started == 0 then held("none was started") end
  if facts.own_kernel then held(started .. " on the sandbox's own kernel, which end with it") end
  through(started .. " processes, left behind")
end

function attempts.setuid(facts)
  if status("NoNewPrivs") == "1" then held("the kernel grants no new rights") end
  if facts.own_kernel then
    -- gVisor does not say it; a setuid program that asks for root's rights does.
    local file = io.popen("mount -t tmpfs none /tmp 2>&1")
    local said = file and file:read("a") or ""
    if said:find("must be superuser", 1, true) then held("mount says that it is not root") end
  end
  through("setuid programs work")
end

function attempts.capabilities()
  local rights = status("CapEff")
  if tonumber(rights, 16) == 0 then held("none is left") end
  through("capabilities " .. rights)
end

function attempts.system_calls(facts)
  if facts.own_kernel then held("the sandbox's own kernel answers them") end
  if status("Seccomp") == "2" then held("a filter is in force") end
  through("no filter")
end

function attempts.memory(facts)
  if pcall(string.rep, "x", facts.memory + 1048576) then through("more than " .. facts.memory .. " bytes") end
  held("at its limit of " .. facts.memory .. " bytes")
end

function attempts.disk(facts)
  local block, written, names = string.rep("x", 4096), 0, {}
  for one = 1, 4 do
    local name = "/tmp/security-mcp-doctor-" .. one
    local file = io.open(name, "w")
    if file then
      names[#names + 1] = name
      file:setvbuf("no")
      for _ = 4096, facts.file, 4096 do
        if not file:write(block) then break end
        written = written + #block
      end
      file:close()
    end
  end
  for _, name in ipairs(names) do os.remove(name) end
  if written > facts.file + 4096 then through(written .. " bytes in " .. #names .. " files") end
  held("at " .. written .. " bytes in all files")
end

function attempts.open_files(facts)
  local files = {}
  while #files < 10000 do
    local file = io.open("/dev/null")
    if not file then break end
    files[#files + 1] = file
  end
  if #files > facts.files then through(#files .. " files") end
  held("at " .. #files .. " files")
end

action = function()
  local function fact(name) return math.tointeger(tonumber(nmap.registry.args[name])) end
  local facts = {
    pid = fact("pid"),
    memory = fact("memory"),
    file = fact("file"),
    files = fact("files"),
    own_kernel = fact("own_kernel") == 1,
  }
  local _, said = pcall(attempts[nmap.registry.args.attempt], facts)
  return type(said) == "table" and said.text or "ESCAPE-ERROR " .. tostring(said)
end

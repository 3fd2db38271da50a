// Tasks as goroutines.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const chainsAtOnce = 200

// The same as the meter of the programs in C++.
type meter struct {
	warmUp, seconds time.Duration
	begin           time.Time
	warm            bool
	underWay        uint64
	operations      uint64
	cpu             time.Duration
	allocations     uint64
	residentBefore  int64
	residentParked  int64
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "tasks-go: %v\n", err)
	os.Exit(1)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func allocations() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs
}

func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		fail(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		fail(err)
	}
	return pages * int64(os.Getpagesize())
}

func (m *meter) more(operations uint64) bool {
	now := time.Now()
	if m.begin.IsZero() {
		m.begin = now
	}
	if m.warm {
		m.operations += m.underWay
	}
	m.underWay = operations
	passed := now.Sub(m.begin)
	if !m.warm && passed >= m.warmUp {
		m.warm = true
		m.allocations = allocations()
		m.cpu = cpuTime()
	}
	if passed < m.warmUp+m.seconds || m.operations == 0 {
		return true
	}
	m.cpu = cpuTime() - m.cpu
	m.allocations = allocations() - m.allocations
	return false
}

func parked(m *meter, count int) {
	release := make(chan struct{})
	var tasks sync.WaitGroup
	runtime.GC()
	m.residentBefore = residentBytes()
	var waiting sync.WaitGroup
	waiting.Add(count)
	for i := 0; i < count; i++ {
		tasks.Add(1)
		go func() {
			defer tasks.Done()
			waiting.Done()
			<-release
		}()
	}
	waiting.Wait()
	runtime.Gosched()
	m.residentParked = residentBytes()
	close(release)
	tasks.Wait()
}

func spawn(m *meter, count int) {
	for m.more(uint64(count)) {
		var tasks sync.WaitGroup
		tasks.Add(count)
		for i := 0; i < count; i++ {
			go tasks.Done()
		}
		tasks.Wait()
	}
}

//go:noinline
func callDown(depth int) int {
	if depth == 1 {
		runtime.Gosched()
		return 1
	}
	return 1 + callDown(depth-1)
}

func chain(m *meter, depth int) {
	over := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			default:
				callDown(depth)
			}
		}
	}()
	for m.more(2 * chainsAtOnce) {
		for i := 0; i < chainsAtOnce; i++ {
			callDown(depth)
		}
	}
	close(over)
	<-ended
}

func main() {
	runtime.GOMAXPROCS(1)
	parkedTasks := flag.Int("parked", 0, "measure the memory of so many tasks that wait")
	spawnTasks := flag.Int("spawn", 0, "measure how long so many tasks take to begin and end")
	chainDepth := flag.Int("chain", 0, "measure tasks that give way so many calls deep")
	warmUp := flag.Float64("warm-up", 0.1, "seconds before the measurement")
	seconds := flag.Float64("seconds", 0.5, "seconds that are measured")
	flag.Parse()
	loads := []struct {
		name   string
		count  int
		action func(*meter, int)
	}{{"parked", *parkedTasks, parked}, {"spawn", *spawnTasks, spawn}, {"chain", *chainDepth, chain}}

	m := &meter{
		warmUp:  time.Duration(*warmUp * float64(time.Second)),
		seconds: time.Duration(*seconds * float64(time.Second)),
	}
	for _, load := range loads {
		if load.count <= 0 {
			continue
		}
		load.action(m, load.count)
		if load.name == "parked" {
			fmt.Printf(`{"load": "parked", "count": %d, "rss_bytes_per_task": %.1f}`+"\n", load.count,
				float64(m.residentParked-m.residentBefore)/float64(load.count))
		} else {
			fmt.Printf(`{"load": "%s", "count": %d, "operations": %d, "cpu_ns_per_operation": %.2f, `+
				`"allocations_per_operation": %.3f}`+"\n", load.name, load.count, m.operations,
				float64(m.cpu.Nanoseconds())/float64(m.operations),
				float64(m.allocations)/float64(m.operations))
		}
		return
	}
	fmt.Fprintln(os.Stderr, "tasks-go: one of --parked, --spawn and --chain with a number above 0 is accepted")
	os.Exit(2)
}

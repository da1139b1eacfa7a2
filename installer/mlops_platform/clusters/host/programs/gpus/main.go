// Gpus is a device plugin of the kubelet for devices that do not exist: pods that request one are counted and
// scheduled as on a node with hardware, and find no device.
//
// https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const pause = 500 * time.Millisecond

type plugin struct {
	api.UnimplementedDevicePluginServer
	devices []*api.Device
}

func (plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

// ListAndWatch sends the devices once: they never change.
func (p plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	if err := stream.Send(&api.ListAndWatchResponse{Devices: p.devices}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// Allocate gives a container no device, only their names.
func (plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for _, each := range request.ContainerRequests {
		env := map[string]string{"SIMULATED_GPUS": strings.Join(each.DevicesIds, ",")}
		response.ContainerResponses = append(response.ContainerResponses, &api.ContainerAllocateResponse{Envs: env})
	}
	return response, nil
}

func main() {
	resource := flag.String("resource", "", "name of the extended resource")
	count := flag.Int("count", 0, "number of devices")
	folder := flag.String("folder", api.DevicePluginPath, "folder of the kubelet's socket")
	flag.Parse()
	if err := serve(*folder, *resource, *count); err != nil {
		log.Fatal(err)
	}
}

// serve returns when the kubelet has started again, which removes all sockets: the supervisor starts this program again.
func serve(folder, resource string, count int) error {
	p := plugin{}
	for number := range count {
		id := fmt.Sprintf("simulated-%d", number)
		p.devices = append(p.devices, &api.Device{ID: id, Health: api.Healthy})
	}
	kubelet := filepath.Join(folder, filepath.Base(api.KubeletSocket))
	for !answers(kubelet) { // the socket of a node that was stopped is left
		time.Sleep(pause)
	}
	socket := filepath.Join(folder, "simulated-gpus.sock")
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, p)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if err := register(kubelet, filepath.Base(socket), resource); err != nil {
		return err
	}
	log.Printf("%d simulated devices of %s", count, resource)
	for exists(socket) {
		select {
		case err := <-failed:
			return err
		case <-time.After(pause):
		}
	}
	return fmt.Errorf("the kubelet has removed %s", socket)
}

func register(kubelet, endpoint, resource string) error {
	connection, err := grpc.NewClient("unix://"+kubelet, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request := &api.RegisterRequest{Version: api.Version, Endpoint: endpoint, ResourceName: resource}
	_, err = api.NewRegistrationClient(connection).Register(ctx, request)
	return err
}

func answers(path string) bool {
	connection, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
